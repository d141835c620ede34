// SPDX-License-Identifier: MIT
// NorDion2, also called Dion3: Dion2 on rows, whose updates are equalized by NorMuon's second moment
// (microsoft/dion nordion2.py). For hidden matrices; give embeddings, heads, norms and biases to AdamW.
//
//   M <- M + G;  K = the s rows of M with the largest l1 norms (of equal ones the first);  A = M[K]
//   M[K] <- mu M[K];  O = polar(A)
//   v[K] <- beta2 v[K] + (1 - beta2) mean of O^2 over each row;  N = O / (sqrt(v[K]) + eps)
//   W <- W - lr wd W;  W[K] <- W[K] - lr factor(m, n) N |O| / max(|N|, eps)
//
// s = max(1, ceil(fraction m)). A parameter with more than two axes is out x (the rest), or a batch of
// matrices (MatrixView::batch). State, f32: M, <parameter>.momentum, and v, <parameter>.v, one element a row.
// FLOPs: T (3 k^2 K + k^3) + 6 m n + 3 s n, k and K the short and the long side of A, s x n; bytes, with f32
// tensors: 20.25 m n + 24 s n + T (20 s n + 24 k^2), as Dion2's on rows, since the last product leaves the
// squares of O's rows (s n / 8 on GPUs, for a sum of every 64 columns). For K above 7/3 k (with the default
// fraction every matrix but those of 1.7 to 9.3 times as many rows as columns) polar() takes the Gram form:
// with T = 5 9 k^2 K + 11 k^3 + 6 m n + 3 s n FLOPs, 52 s n + 200 k^2 in place of the last term's bytes. What
// one workgroup holds takes the standard form, and none of those bytes.
#pragma once

#include "heron/optim/dion2.hpp"

namespace heron {

struct NorDion2Options {
    float lr = 0.01f;            // finite, >= 0; this and all defaults: microsoft/dion
    double fraction = 0.25;      // of the rows, (0, 1]
    double momentum = 0.95;      // mu, [0, 1]
    double beta2 = 0.95;         // [0, 1)
    double eps = 1e-8;           // positive in f32; of the second moment
    float weight_decay = 0.01f;  // finite, >= 0; multiplied by lr
    ShapeFactor shape_factor = ShapeFactor::sqrt_ratio;  // of the whole matrix
    ConvFactor conv_factor = ConvFactor::matrix;
    MomentFormat moments = MomentFormat::f32;  // of M; f32 or bf16
    PolarOptions polar = Dion2Options::dion_polar();
    Schedule schedule;
};

class HERON_API NorDion2 : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit NorDion2(const Device& device, const NorDion2Options& options = {});
    const NorDion2Options& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    NorDion2Options options_;
};

using Dion3 = NorDion2;
using Dion3Options = NorDion2Options;

}  // namespace heron
