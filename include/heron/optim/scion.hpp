// SPDX-License-Identifier: MIT
// Scion: steps along the linear minimization oracle of a norm (Pethick et al., arXiv 2502.07529;
// LIONS-EPFL/scion), and the non-Euclidean trust region (arXiv 2503.12645). For every parameter, each group
// with its norm: hidden matrices by the spectral one, heads and embeddings by signs, vectors by their RMS.
//
//   M <- mu M + (1 - mu) G;  W <- (1 - lr weight_decay) W - lr scale L(M)
//
// L(A), A of m x n (as the matrix optimizers see it, MatrixView), by norm and ScionScale:
//
//             normalized                       unnormalized                unit_ball
//   spectral  sqrt(m/n) polar(A)               sqrt(m) polar(A)            polar(A)
//   sign      sign(A) / n                      sign(A)                     sign(A)
//   column    columns / (n RMS)                columns / RMS               columns / norm
//   row       rows / (sqrt(n) norm)            rows / norm                 rows / norm
//   frobenius A / RMS                          A / norm                    A / norm
//
// eps is added to each divisor, and a zero matrix gives zero. Of a filter (out, in, kernel axes) the spectral
// factors take `in` for n, and are divided by the number of the kernel's elements (ScionKernel).
//
// Weights should begin on the ball: draw_scion_weight(). Weight decay 1 keeps them in the ball of radius
// `scale` (the constrained form), 0 is the unconstrained form.
//
// State: M, as large as the parameter, <parameter>.momentum; none with momentum 0 (the authors'
// ScionLight keeps M in the gradient instead). Cost, with f32 tensors: spectral as Muon; sign one pass, 6 m
// n FLOPs, 20 m n bytes (12 without momentum); the others momentum and update, 12 m n FLOPs, 24 m n bytes (20
// without momentum), row and column 4 m n more. The norm of frobenius comes with the momentum's pass; those
// of rows and columns are a pass of their own over M, as workgroups of the momentum's end anywhere in a row.
// No norm is taken of a polar factor.
#pragma once

#include <cstdint>

#include "heron/linalg.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

enum class ScionNorm {
    // Roles that are given: embedding and head sign, vector frobenius, others spectral. Else by axes:
    // fewer than two frobenius, others spectral (the authors' Auto).
    automatic,
    spectral,
    sign,
    column,
    row,
    frobenius,
};

enum class ScionScale {
    normalized,
    normalized_max,  // spectral: max(1, sqrt(m/n)) polar(A); others as normalized
    unnormalized,
    unit_ball,
};

// What divides the spectral factors of a filter.
enum class ScionKernel {
    elements,  // kh kw
    authors,   // kh^2, the first axis for all: the authors' SpectralConv, which has square kernels in mind
};

struct ScionOptions {
    float lr = 1e-3f;       // finite, >= 0; the authors' code, as are the other defaults
    double momentum = 0.0;  // [0, 1): mu; the authors' argument of that name is 1 - mu
    ScionNorm norm = ScionNorm::automatic;
    ScionScale norm_scale = ScionScale::normalized;
    ScionKernel kernel = ScionKernel::elements;
    bool transpose = false;                    // row and column: of A^T, in which m and n change places
    float scale = 1.0f;                        // radius of the ball; above 0
    float weight_decay = 1.0f;                 // finite, >= 0; multiplied by lr
    float eps = 1e-8f;                         // finite, >= 0
    PolarOptions polar;                        // of spectral: muon x 5, norm + 1e-7
    MomentFormat moments = MomentFormat::f32;  // of M
    Schedule schedule;

    // W <- (1 - beta) W - lr argmax over the unit ball of <M, D>: weight decay beta / lr, so that with a
    // schedule beta follows lr. The polar factor (ten steps of Polar Express) is exact to about 1e-4 where
    // all singular values are above 3e-4 |M|_F; smaller ones stay below 1. lr above 0, beta >= 0.
    HERON_API static ScionOptions trust_region(ScionNorm norm, float lr, float beta);
};

class HERON_API Scion : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Scion(const Device& device, const ScionOptions& options = {});
    const ScionOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    ScionOptions options_;
};

// Draws `weight` from the sphere of radius `scale` of the parameter's norm, that is scale L(A) of normal
// numbers A: semi-orthogonal matrices times the factor (accurate to about 1e-5 where well conditioned),
// +-1/n, normal rows or columns that are normalized; zero for frobenius, as the authors do with biases.
// `weight` is a tensor of the graph with the parameter's shape, any floating-point dtype; `parameter` gives
// role, view, and its name in errors. A filter is one matrix, out x (in and kernel), and so on the sphere;
// the authors draw one for each element of the kernel, which may lie sqrt(kh kw) outside. Another `tensor`
// number draws other numbers (RandomOptions::tensor).
HERON_API void draw_scion_weight(Graph& graph, const Tensor& weight, const Parameter& parameter,
                                 const ScionOptions& options, std::uint64_t seed, std::uint32_t tensor);

}  // namespace heron
