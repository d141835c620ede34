// SPDX-License-Identifier: MIT
// Kronecker-factored curvature as graph operations (heron/linalg.hpp says what these have in common), without
// any optimizer: natural-gradient products, Laplace approximations, pruning by curvature.
//
// The Fisher or Gauss-Newton matrix of a layer y = W a is taken for A (x) S: A the mean of a a^T (order n;
// with a bias n + 1, the last column), S that of s s^T (order m), s = dL/dy. (Martens and Grosse, arXiv
// 1503.05671.) In this order, everything but the first step as often as one likes:
//
//   make_kronecker_factors()                 states A and S
//   accumulate_factor(), update_factor()     a batch's statistic, and the running average
//   renew_inverse(), apply_inverse()         (S + ..)^-1 G (A + ..)^-1, by Cholesky
//   renew_eigen(), apply_eigen()             Q_S ((Q_S^T G Q_A) / (d_S d_A^T + damping)) Q_A^T
//   renew_moments(), moments_statistic(), update_moments()      EK-FAC: a table in place of d_S d_A^T
//
// Factors may be batches (groups of a convolution): every function then takes as many matrices of everything
// else. Statuses stay on the device: a factor that is not positive definite, or not finite, keeps the inverse
// or the basis that it had, and is counted. Samples of a Laplace posterior are the caller's: with E standard
// normal, W + apply_eigen() of E with the root of the damped table as `moments` and no renew_level(), or with
// the inverses' Cholesky factors (cholesky()).
//
// What tensors are states of the plan is saved in checkpoints. All kernels are guarded (Operation::guarded).
// Throws (invalid_argument) for shapes, dtypes and numbers that do not fit, before anything is added.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

struct KroneckerFactors {
    Tensor inputs;    // A, f32: n x n, or groups x n x n
    Tensor outputs;   // S, f32: m x m, or groups x m x m
    Tensor left_out;  // u32, one for each group of A, then of S: statistics that were not finite

    std::uint64_t groups() const { return inputs.batch(); }
    std::uint64_t rows() const { return outputs.rows(); }  // of the layer's gradient
    std::uint64_t cols() const { return inputs.rows(); }
};

// States <name>.A, <name>.S and <name>.left_out; both factors begin as the identity. Shapes as above for
// groups > 1, else matrices.
HERON_API KroneckerFactors make_kronecker_factors(Graph& graph, const std::string& name, std::uint64_t rows,
                                                  std::uint64_t cols, std::uint64_t groups = 1);

struct FactorUpdateOptions {
    double decay = 0.95;  // [0, 1)
    // Two f32 on the device, decay and 1 - decay, in place of that.
    Tensor rates;
    // The k-th statistic has a weight of at least 1 / k (Martens and Grosse): the identity is forgotten at
    // once. k counts steps of the plan (which needs a control block) in units of `interval`.
    bool warm = false;
    std::uint32_t interval = 1;  // >= 1
    // One f32: the statistic is in units of its square.
    Tensor unit;
};
// F <- decay F + (1 - decay) S for one side of the factors: S f32, as accumulate_factor() leaves it (decay
// 0), without gaps. A statistic whose trace is not finite, or above 2^100, is left out and counted. 4 n^2
// FLOPs, 12 n^2 bytes.
enum class FactorSide : std::uint32_t { inputs = 0, outputs = 1 };
HERON_API void update_factor(Graph& graph, const KroneckerFactors& factors, FactorSide side,
                             const Tensor& statistic, const FactorUpdateOptions& options = {});

// What a damping is a multiple of; of a zero, 1.
enum class DampingUnit : std::uint32_t {
    absolute = 0,  // 1
    trace = 1,     // the trace of what is damped
    mean = 2,      // its mean eigenvalue: 1e-3 and above keep condition numbers below the order times 1e3
};

// How the damping l of a Kronecker product gets into its factors. nu: mean of a factor's diagonal.
enum class DampingSplit : std::uint32_t {
    // All of it into each: A + l I, S + l I (kfac-pytorch). Another product: it has l^2, and cross terms. A
    // relative l is of each factor.
    full = 0,
    // A + pi sqrt(l) I, S + sqrt(l) / pi I with pi^2 = nu_A / nu_S (Martens and Grosse, 6.3). Factors of one
    // element are not damped, the others carry l; where all have one, the product of their elements gets l.
    // Where a nu is zero all factors become l^(1/k) I.
    pi = 1,
    // kfac-jax' form of the same product: both factors scaled to the mean c = sqrt(nu_A nu_S) first,
    // c (f / nu + sqrt(l) / c I).
    pi_normalized = 2,
};

struct CurvatureDamping {
    float value = 1e-3f;                       // finite, > 0
    Tensor device_value;                       // one f32 in place of that
    DampingUnit unit = DampingUnit::absolute;  // of the factor (full), or of the product
    DampingSplit split = DampingSplit::pi;     // of inverses; eigenvalues are damped as they are
    // Factors on it, finite, >= 0: on each factor's own (full); their product on the product's.
    std::array<float, 8> scales{1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
};

// Up to eight factors of one product, each with its damping: damped[i] f32, as factors[i], apart from them.
// 2 n^2 FLOPs, 8 n^2 bytes each; one level. Of k factors, k' of them larger than 1 x 1, c the geometric mean
// of their nu: pi is f + d nu I, pi_normalized c (f / nu + d I), d = l^(1/k') / c^(k/k').
HERON_API void damp_factors(Graph& graph, std::span<const Tensor> factors, std::span<const Tensor> damped,
                            const CurvatureDamping& damping = {});

// --- By inverses

struct KroneckerInverse {
    Tensor inputs;    // (A + ..)^-1, f32, symmetric
    Tensor outputs;   // (S + ..)^-1
    Tensor failures;  // u32, one for each group of A, then of S
    // Optional, f32, as many: condition_estimate() of the damped factors of the last refresh.
    Tensor conditions;
};
// States <name>.A_inverse, .S_inverse (the identity at first), .inverse_failures, and with `conditions`
// .inverse_condition (0 at first).
HERON_API KroneckerInverse make_kronecker_inverse(Graph& graph, const std::string& name,
                                                  const KroneckerFactors& factors, bool conditions = false);
// spd_inverse() of both damped factors: 2 (n^3 + m^3) FLOPs, its levels and two. All factors that are renewed
// in one graph share them. (And those of condition_estimate(), where `conditions` are there.)
HERON_API void renew_inverse(Graph& graph, const KroneckerFactors& factors, const KroneckerInverse& inverse,
                             const CurvatureDamping& damping = {});
// D = S^-1 G A^-1: G rows x cols, f32, f16 or bf16; D f32, apart from it. 2 m n (m + n) FLOPs, two levels.
HERON_API void apply_inverse(Graph& graph, const KroneckerInverse& inverse, const Tensor& g, const Tensor& d);

// --- Of one batch alone

struct BatchRows {
    Tensor rows;         // X: [a, 1] or s, N rows (groups x N) in f32, f16 or bf16
    float scale = 1.0f;  // of X^T X; finite, > 0
};
// D = (c_S S^T S + ..)^-1 G (c_A A^T A + ..)^-1 for the rows of one batch. Where it has fewer rows N than a
// factor's order n, that factor is never formed (S. Woodbury 1950):
//
//   (l I + c X^T X)^-1 = (I - c X^T (l I + c X X^T)^-1 X) / l
//
// G rows x cols, f32, f16 or bf16; D f32, apart from it. Damping as in renew_inverse(). FLOPs for N < m, n: 4
// m n N + 2 m N^2 + 2 n N^2 + N^2 (m + n) + 4 N^3; workspace 12 N^2 + 8 N max(m, n) + 4 m n bytes. Errors are
// (1 + |c X^T X| / l) times those of a product. Where a factor has no inverse, it counts as l I if it is not
// formed, else D is zero.
HERON_API void apply_batch_inverse(Graph& graph, const BatchRows& inputs, const BatchRows& outputs,
                                   const Tensor& g, const Tensor& d, const CurvatureDamping& damping = {});

// --- By eigenvalues

struct KroneckerEigen {
    Tensor input_vectors;   // Q_A, columns, f32
    Tensor input_values;    // d_A, f32: n, or groups x n
    Tensor output_vectors;  // Q_S
    Tensor output_values;   // d_S
    Tensor level;           // f32, one for each group: the damping, 0 at first
    Tensor failures;        // u32, one for each group of A, then of S
};
// States <name>.A_vectors, .A_values, .S_vectors, .S_values, .level, .eigen_failures: bases and eigenvalues
// of the identity at first.
HERON_API KroneckerEigen make_kronecker_eigen(Graph& graph, const std::string& name,
                                              const KroneckerFactors& factors);
// eigh() of both factors; eigenvalues up to `floor` become 0, and those up to sqrt(n) 2^-24 of the largest,
// which are what rounding makes of 0. 8 to 11 (n^3 + m^3) FLOPs, eigh()'s levels.
HERON_API void renew_eigen(Graph& graph, const KroneckerFactors& factors, const KroneckerEigen& eigen,
                           float floor = 0.0f);
// level <- the damping, in its unit, of these eigenvalues. With every renew_eigen() it is that of a table of
// 1 / (d_S d_A^T + damping) that is kept (kfac-pytorch's outer product), without one; else call it every
// step.
HERON_API void renew_level(Graph& graph, const KroneckerEigen& eigen, const CurvatureDamping& damping = {});
// D = Q_S ((Q_S^T G Q_A) / (d_S d_A^T + level)) Q_A^T; with `moments` (below) that table in place of d_S
// d_A^T. 4 m n (m + n) FLOPs, five levels. Where a factor is singular, rounding turns its null space. Of G's
// part there, which is divided by the level alone, elements up to sqrt(n) 2^-24 |G| times the root of the
// largest eigenvalue over the smallest that is not zero are nothing but that, and count as zero.
HERON_API void apply_eigen(Graph& graph, const KroneckerEigen& eigen, const Tensor& g, const Tensor& d,
                           const Tensor& moments = {});

// EK-FAC (George et al., arXiv 1806.03884). moments: f32, rows x cols, a state or whatever the caller keeps.
// moments <- d_S d_A^T.
HERON_API void renew_moments(Graph& graph, const KroneckerEigen& eigen, const Tensor& moments);
// statistic <- sum over samples of (Q_S^T (sum over a sample's `positions` rows of s a^T) Q_A)^2, element by
// element; f32, rows x cols. input_rows: [a, 1], N R x n (groups x N R x n); output_rows: s, N R x m; f32,
// f16 or bf16. No sample's gradient is stored. 2 N R (m^2 + n^2 + m n) FLOPs, workspace 4 N R (m + n) bytes.
HERON_API void moments_statistic(Graph& graph, const KroneckerEigen& eigen, const Tensor& input_rows,
                                 const Tensor& output_rows, const Tensor& statistic,
                                 std::uint64_t positions = 1);
struct MomentsUpdateOptions {
    double decay = 0.95;  // [0, 1)
    Tensor rates;         // as in FactorUpdateOptions
    float scale = 1.0f;   // of the statistic; 1 / N for a mean over samples
    Tensor unit;          // as in FactorUpdateOptions
};
// moments <- decay moments + (1 - decay) scale statistic; elements that are not finite, or above 2^100, are
// left out. 5 m n FLOPs, 12 m n bytes.
HERON_API void update_moments(Graph& graph, const Tensor& statistic, const Tensor& moments,
                              const MomentsUpdateOptions& options = {});

}  // namespace heron
