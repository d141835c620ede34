// SPDX-License-Identifier: MIT
// Trion (arXiv 2505.17967), as IST-DASLab/ISTA-DASLab-Optimizers: Dion with a fixed cosine basis. For hidden
// matrices; give embeddings, heads, norms and biases to AdamW.
//
//   M <- M + G;  S = M Q for m >= n, else Q M;  I = the r columns (rows) of S with the largest l1 norms
//   M <- M - (1 - mu) s P^T;  W <- W - lr wd W - lr factor(m, n) polar(s) P^T        (P^T s, P^T polar(s))
//
// s: columns (rows) I of S. Q[i][j] = s_i cos(pi i (2 j + 1) / (2 k)), the matrix of the DCT-II, k = min(m,
// n); P: its columns I for tall and square matrices, its rows I for wide ones, as in the authors' code. The
// transform runs in k log k operations a line where dct() can (heron/linalg/dct.hpp), by Makhoul's algorithm;
// nothing holds Q. So there is no option for what the authors call use_makhoul: of wide matrices it is the
// same transform; of tall ones it would choose among Q's rows, but it reconstructs with another basis than it
// projected with, of these in the first call and of wide ones in all later calls, which is not copied. A
// parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView).
//
// State: M, f32, as large as the parameter, <parameter>.momentum, and the chosen r numbers of each matrix,
// <parameter>.indices, largest first. FLOPs, with K = max(m, n): 2.5 m n log2 k (2 m n k by products) + 4 m n
// r + T (3 r^2 K + r^3). Bytes, with f32 tensors: 48 m n + r (28 K + 12 k) + T (20 r K + 24 r^2), and 4 k^2
// for a transform by products. Above K = 7/3 r polar() takes the Gram form: with T = 5 9 r^2 K + 11 r^3 and
// 52 r K + 200 r^2 in place of T's terms; what one workgroup holds has none of those bytes, and 4 r K fewer.
//
// 8 m n bytes are the update matrix, which a product writes and the weights' pass reads. A product could end
// in W itself, as beta W + alpha s P^T, for 8 m n bytes in place of 16; but its alpha and beta are fixed when
// the plan is made, and the learning rate is the device's (schedules, set_learning_rate()); 1 - lr wd,
// rounded to f32, loses small decays (3 % of 1e-6); and master copies, averages, 16-bit weights and what
// stops at the largest number are that pass's.
#pragma once

#include "heron/linalg/polar.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/train.hpp"

namespace heron {

struct TrionOptions {
    std::uint32_t rank = 0;     // at least 1, has no default; the short side where that is smaller
    float lr = 0.02f;           // finite, >= 0; the authors' code
    double momentum = 0.95;     // mu, [0, 1); the authors' code
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr
    // The authors' scaling_type, without default there: "kj" max_one_sqrt_ratio, "kimi" match_rms, "dion"
    // sqrt_ratio, "none" none.
    ShapeFactor shape_factor = ShapeFactor::max_one_sqrt_ratio;
    PolarOptions polar;  // of the m x r (r x n) matrix: muon x 5, norm + 1e-7
    Schedule schedule;
};

class HERON_API Trion : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Trion(const Device& device, const TrionOptions& options);
    const TrionOptions& options() const { return options_; }

private:
    // Refuses vectors, and matrices whose shorter side is above 8192.
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    TrionOptions options_;
};

}  // namespace heron
