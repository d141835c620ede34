// SPDX-License-Identifier: MIT
// Dion: orthonormal updates of low rank (K. Ahn et al. 2025, arXiv 2504.05295; microsoft/dion). For hidden
// matrices; give embeddings, heads, norms and biases to AdamW.
//
// One step of power iteration on the momentum, warm-started by the last step's right factor Q; what it leaves
// out stays in the momentum (error feedback). B = M, or M^T where m < n:
//
//   M <- M + G;  P = orth(B Q), p x r;  R = B^T P, q x r;  B <- B - (1 - mu) P R^T
//   Q <- R / (norms of its columns + eps);  W <- W - lr wd W - lr factor(m, n) P Q^T
//
// A parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView::batch).
// State, f32: M, <parameter>.momentum, and Q, <parameter>.q: q r elements a matrix. Q is drawn from N(0, 1)
// by Plan::initialize(), from StepOptions::seed and the parameter's name. With momentum of zeros P is zero
// and Q keeps its directions. FLOPs: 8 m n r + 10 m n, 4 m n r more for each further power iteration, and
// those of the QR method; bytes: 44 m n + 4 r (4 p + 8 q) and those of the QR method, with f32 tensors; 8 m n
// of them for P Q^T, which a product writes and the weights' pass reads (see Trion).
//
// There is no MomentFormat: M is written last by a product, B - (1 - mu) P R^T, which rounds to nearest, and
// what error feedback collects is far below half a unit of bf16. To round it stochastically would take a pass
// of its own over M in f32, 6 m n bytes of traffic and 4 m n of workspace, for 2 m n bytes of state. Q has r
// of min(m, n) columns, and is f32 for the sake of the power iteration (dion's have the weights' dtype).
#pragma once

#include <cstdint>

#include "heron/optim/matrix.hpp"
#include "heron/train.hpp"

namespace heron {

// How Y = B Q, p x r, is orthonormalized. All agree, up to signs of columns, where Y has full rank.
enum class DionQr {
    // Householder's method up to 32 columns and 1024 rows, else Cholesky QR in four passes that shifts what
    // is nearly singular (heron::qr). Sound for any Y, hence the default (dion: rcqr).
    automatic,
    // Householder's method: p <= 4096. 4 p r^2 - 4/3 r^3 FLOPs, but 5 r / 32 levels.
    householder,
    // Cholesky QR, one pass: 2 p r^2 + r^3 / 3 FLOPs. Columns are orthonormal to cond(Y)^2 2^-24, and never
    // longer than 1: for ranks far below min(m, n). dion warms up with 150 steps of Householder's method.
    cqr,
    // Randomized Cholesky QR: the QR factor of a Gaussian sketch of k = 128 ceil(oversample r / 128) rows,
    // the same on all replicas, makes Y well-conditioned for Cholesky QR. (2 k + 3 r) p r FLOPs and those of
    // a QR of k x r. Where p = r: as `automatic`.
    rcqr,
};
// dion's cqr falls back to rcqr, and its rcqr to zeros, where a Cholesky factor does not exist; a column of Q
// that is zero then remains so. Here the Gram matrix is shifted instead (by r 2^-23 of its mean, ten times
// that, a hundred times), pivots of the sketch's factor stay above 4 sqrt(r) 2^-24 of the largest, and
// columns of Q that vanish with any method are drawn anew.

struct DionOptions {
    float lr = 0.01f;            // finite, >= 0; this and all defaults but `qr`: microsoft/dion
    double momentum = 0.95;      // mu, [0, 1]
    float weight_decay = 0.01f;  // finite, >= 0; multiplied by lr
    // r = rank, or rank_fraction min(m, n) rounded up to a multiple of rank_multiple; at most min(m, n).
    std::uint32_t rank = 0;              // 0: by the fraction
    double rank_fraction = 1.0;          // (0, 1]
    std::uint32_t rank_multiple = 1;     // >= 1
    std::uint32_t power_iterations = 1;  // 1 to 64
    DionQr qr = DionQr::automatic;
    double oversample = 1.25;  // 1 to 16; rcqr
    double eps = 1e-8;         // finite in f32, >= 0; added to the norms of columns
    // Wide matrices as their transposes, so that Q belongs to the short side (dion's reference and fast
    // forms); without it Q is n x r always (the paper, dion's simple form).
    bool transpose = true;
    ShapeFactor shape_factor = ShapeFactor::sqrt_ratio;  // of m x n, transposed or not
    ConvFactor conv_factor = ConvFactor::matrix;
    Schedule schedule;

    // The paper's form: rank as given, no transposition.
    HERON_API static DionOptions simple(std::uint32_t rank);
};

class HERON_API Dion : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Dion(const Device& device, const DionOptions& options = {});
    const DionOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    DionOptions options_;
};

}  // namespace heron
