// SPDX-License-Identifier: MIT
// Kronecker factors: for each side of a matrix an average of second moments of its gradients, and a whitener
// made of it. An optimizer renews them in this order, as graph operations:
//
//   statistic (syrk)  ->  average_factor(): a candidate  ->  renew_factor(): its root, and takes both over
//
// A candidate without a root (not positive definite, not finite) is dropped: the last good average and its
// whitener stay, and the failure is counted.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "heron/graph.hpp"
#include "heron/linalg/inverse_root.hpp"
#include "heron/linalg/matrix_power.hpp"
#include "heron/linalg/product.hpp"

namespace heron {

struct KroneckerFactor {
    Tensor average;   // F, n x n f32, symmetric positive definite
    Tensor whitener;  // S, n x n f32
    Tensor failures;  // one u32: refreshes without a root
    Tensor basis{};   // n x n f32, of roots that continue from the last eigenvectors: these; else empty
    // Where they are asked for, of the last refresh: the condition number of what the root was taken of, one
    // f32 (report_condition()); iterations of its inverse_root(), one u32.
    Tensor condition{}, iterations{};

    explicit operator bool() const { return static_cast<bool>(average); }
    std::uint64_t order() const { return average.rows(); }
};

// S with S S^T = F^-1.
enum class WhitenerForm {
    symmetric,  // S = F^(-1/2)
    cholesky,   // S = L^-T, F = L L^T: upper triangular
};

// What the average of a factor begins as; its whitener begins as the identity.
enum class FactorStart { identity, zero };

struct FactorStates {
    FactorStart start = FactorStart::identity;
    bool bases = false;
    bool conditions = false, iterations = false;  // diagnostics
};
// The factors of one side of several matrices, of these orders (0: none), as states of the graph: <name>,
// <name>_whitener, with bases <name>_basis (at first the identity), all of them n x n, a batch of that, or,
// where orders differ, one matrix after the other; and with one word for each matrix <name>_failures,
// <name>_condition and <name>_iterations, at first zero.
std::vector<KroneckerFactor> make_factors(Graph& graph, const std::string& name,
                                          std::span<const std::uint64_t> orders, const FactorStates& states);

// The first values of one that is there.
void start_factor(Graph& graph, const KroneckerFactor& factor, FactorStart start);
// The root becomes the whitener, the candidate, where there is one, the average, if the status (one u32) says
// so.
void take_over(Graph& graph, const KroneckerFactor& factor, const Tensor& candidate, const Tensor& root,
               const Tensor& status);

// Where the factor has one, its `condition`: condition_estimate() of a matrix whose root = (matrix +
// damping)^-exponent has that status.
struct FactorCondition {
    double exponent = 0.5;
    float damping = 0, relative_damping = 0;  // ConditionOptions
    Tensor status;
};
void report_condition(Graph& graph, const KroneckerFactor& factor, const Tensor& matrix, const Tensor& root,
                      const FactorCondition& of);

struct FactorAverage {
    double decay = 0.95;
    double damping = 0;       // of the mean eigenvalue of F: added to the statistic
    bool unit_trace = false;  // the statistic is scaled to a mean eigenvalue of 1 first
    // Optional, one f32: the statistic is in units of its square (scaled_gradient.hpp). unit_trace needs
    // none.
    Tensor unit;
};

// The average of the factor with a statistic (n x n f32, symmetric, without gaps), scaled to a mean
// eigenvalue of 1: the candidate, a temporary. FLOPs 6 n^2, bytes 12 n^2.
Tensor average_factor(Graph& graph, const KroneckerFactor& factor, const Tensor& statistic,
                      const FactorAverage& options);

// Makes the whitener of the candidate and takes both over. FLOPs 0.7 n^3 (cholesky), 16 to 40 n^3
// (symmetric), of which other exponents than 1/2 need eigenvalues: symmetric F^-exponent.
void renew_factor(Graph& graph, const KroneckerFactor& factor, const Tensor& candidate, WhitenerForm form,
                  double exponent = 0.5);

// The plain average: F <- decay F + rate unit^2 S at once, without a candidate; elements end at the largest
// number. FLOPs 5 n^2, bytes 12 n^2.
struct FactorSum {
    double decay = 0.95;
    double rate = 0.05;
    Tensor unit;              // one f32, or
    float constant_unit = 0;  // above 0, in its place
};
void add_statistic(Graph& graph, const KroneckerFactor& factor, const Tensor& statistic,
                   const FactorSum& options);
enum class FactorRoot {
    eigenvalues,  // matrix_power()
    iteration,    // inverse_root(): 1 / exponent is a whole number, 1..64
};

// Eigenvectors as columns, eigenvalues ascending.
struct FactorBasisOptions {
    // 0: eigh(). Else so many steps of the QR algorithm from the last basis, B = Q^T X Q = U R, Q <- Q U, B
    // <- R U; then columns in the order of B's diagonal, the eigenvalues.
    std::uint32_t qr_steps = 0;
    // Above 0: where B has at most this share of its Frobenius norm off its diagonal, eigh()'s basis is not
    // taken, nor a step of QR.
    float tolerance = 0;
};

struct FactorRootOptions {
    double exponent = 0.25;  // p of X^-p
    Damping damping;         // with eigenvalues, the relative one is of the largest eigenvalue, and added
    FactorRoot root = FactorRoot::eigenvalues;
    // Of the iteration; of exponents 1/2 and 1/4 (two runs) any, else newton.
    RootMethod method = RootMethod::automatic;
    std::uint32_t words = 1;  // InverseRootOptions
    // Of eigenvalues: level for whiteners that see nothing but what the factor is made of, clear for others,
    // drop for pseudo-inverses.
    SpectrumFloor floor_rule = SpectrumFloor::level;
    // With eigenvalues: the root of SpectrumFloor::exact is wanted, too.
    bool exact_later = false;
    // Of drop: eigenvalues up to this times the largest are zero; below n 2^-23 it is that.
    float rank_tolerance = 0;
    float absolute_rank_tolerance = 0;  // and up to this
    FactorBasisOptions basis;           // of a factor that has one
    // Not 0: X = c F is scaled by max(tr X, damping.absolute)^-trace_exponent first.
    double trace_exponent = 0;
};
// A root that takes the whitener's place later in the step, with take_over(), if its status allows; or none.
struct LaterRoot {
    Tensor root, status;

    explicit operator bool() const { return static_cast<bool>(root); }
};
// Takes (c F + damping I)^-exponent over as the whitener; c, one f32, corrects the bias of the average. The
// factor stays as it is. A factor with a basis has its eigenvalues from that, which goes on with them.
LaterRoot renew_root(Graph& graph, const KroneckerFactor& factor, const Tensor& correction,
                     const FactorRootOptions& options);
// A refresh without a root has been counted before.
void take_over(Graph& graph, const KroneckerFactor& factor, const LaterRoot& later);

struct FactorPower {
    double exponent = -0.5;
    double damping = 0;  // of eigenvalues whose mean is 1
    bool in_place = false;
    bool exact_later = false;  // as FactorRootOptions::exact_later; damping is above 0 then
};
// Takes (F n / tr F + damping I)^exponent over as the whitener, by eigenvalues (matrix_power(), for what the
// factor is made of: SpectrumFloor::level). The factor stays as it is, or, in place, becomes F n / tr F.
LaterRoot renew_power(Graph& graph, const KroneckerFactor& factor, const FactorPower& options);

// Takes eigenvectors of c F + epsilon I over in place of a whitener: whiten() then rotates into their basis,
// map_back() back.
void renew_basis(Graph& graph, const KroneckerFactor& factor, const Tensor& correction, float epsilon,
                 const FactorBasisOptions& options);

// Products with whiteners S_P and S_Q of X's rows and columns; either factor may be empty: the identity. X is
// f32, f16 or bf16 without gaps; the result a temporary f32 of X's shape, or X itself where both are empty.
// With Cholesky factors half of their zeros are left out (triangular_product()).
//   whiten:    S_P^T X S_Q
//   map_back:  S_P X S_Q^T
Tensor whiten(Graph& graph, const KroneckerFactor& p, const Tensor& x, const KroneckerFactor& q,
              WhitenerForm form);
Tensor map_back(Graph& graph, const KroneckerFactor& p, const Tensor& x, const KroneckerFactor& q,
                WhitenerForm form);

// alpha X Q^-1 X^T, a temporary f32: P's statistic. (Q's is syrk() of the rows whitened by P, transposed.)
Tensor row_statistic(Graph& graph, const Tensor& x, const KroneckerFactor& q, float alpha, WhitenerForm form);

}  // namespace heron
