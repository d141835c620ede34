// SPDX-License-Identifier: MIT
// Dion2: Muon for the largest lines of the momentum (arXiv 2512.16928; microsoft/dion dion2.py). For hidden
// matrices; give embeddings, heads, norms and biases to AdamW.
//
//   M <- M + G;  K = the s lines of M with the largest l1 norms (of equal ones the first);  A = M[K]
//   M[K] <- ef_decay M[K];  O = polar(A);  W <- W - lr wd W;  W[K] <- W[K] - lr factor(m, n) O
//
// Lines are rows where m <= n, else columns: d = min(m, n) of them, s = max(1, ceil(fraction d)). What is not
// selected accumulates. With a fraction of 1 it is Muon with the decay of the momentum after its use.
//
// A parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView::batch).
// State: M, as large as the parameter, <parameter>.momentum. FLOPs: T (3 s^2 K + s^3) + 6 m n, K the long
// side; bytes: 20.25 m n + 24 s K + T (20 s K + 24 s^2) with f32 tensors: what takes the lines leaves their
// squares, so that nothing is read for the norm. For K above 7/3 s (with the default fraction that is every
// matrix) polar() takes the Gram form: with T = 5 9 s^2 K + 11 s^3 + 6 m n FLOPs, 52 s K + 200 s^2 in place
// of the last term's bytes. What one workgroup holds takes the standard form, and none of those bytes.
#pragma once

#include "heron/linalg.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

struct Dion2Options {
    float lr = 0.01f;            // finite, >= 0; this and all defaults: microsoft/dion
    double fraction = 0.25;      // of the lines, (0, 1]
    double ef_decay = 0.95;      // [0, 1]
    float weight_decay = 0.01f;  // finite, >= 0; multiplied by lr
    ShapeFactor shape_factor = ShapeFactor::sqrt_ratio;  // of the whole matrix
    ConvFactor conv_factor = ConvFactor::matrix;
    MomentFormat moments = MomentFormat::f32;  // of M; f32 or bf16
    PolarOptions polar = dion_polar();
    Schedule schedule;

    // Polar Express, norm x 1.02 + 1e-8.
    HERON_API static PolarOptions dion_polar();
};

class HERON_API Dion2 : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Dion2(const Device& device, const Dion2Options& options = {});
    const Dion2Options& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    Dion2Options options_;
};

}  // namespace heron
