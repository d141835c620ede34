// SPDX-License-Identifier: MIT
// Muon: momentum, orthogonalized by Newton-Schulz (Jordan et al. 2024; at scale: arXiv 2502.16982).
// For hidden matrices; give embeddings, heads, norms and biases to AdamW.
//
//   M <- momentum rule;  U = Nesterov(M, G);  O = polar(U);  W <- W - lr wd W - lr factor(m, n) O
//
// A parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView::batch).
// State: M, as large as the parameter, <parameter>.momentum. FLOPs, k the shorter and K the longer side:
// T (3 k^2 K + k^3) + 15 m n; bytes, with f32 tensors: 36 m n + T (20 m n + 24 k^2). A matrix that one
// workgroup holds: 36 m n bytes in all. 12 m n of them are the update's, a pass of its own: the last product
// a X + B X has X for what a product adds, not W. Less for K above 7/3 k, where polar() takes the Gram form:
// with T = 5 9 k^2 K + 11 k^3 FLOPs, and 52 m n + 200 k^2 bytes, in place of T's terms.
#pragma once

#include "heron/linalg.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

struct MuonOptions {
    float lr = 0.02f;        // finite, >= 0; KellerJordan
    double momentum = 0.95;  // [0, 1), at every step of its schedule
    bool nesterov = true;
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr
    MomentumRule momentum_rule = MomentumRule::ema;
    ShapeFactor shape_factor = ShapeFactor::max_one_sqrt_ratio;
    DecayForm decay = DecayForm::decoupled;
    ConvFactor conv_factor = ConvFactor::matrix;
    float extra_scale = 1.0f;                  // factor on the update, beside the shape factor; above 0
    PolarOptions polar;                        // muon x 5, norm + 1e-7
    MomentFormat moments = MomentFormat::f32;  // of M; bf16: U is formed of what is kept
    Schedule schedule;
    Schedule momentum_schedule;  // factor on momentum: Schedule::linear(0.85f / 0.95f, 1, 300) warms up

    // The published forms, with their authors' defaults.
    HERON_API static MuonOptions keller_jordan();  // the factor of a convolution from kh and kw
    HERON_API static MuonOptions torch();          // lr 1e-3, weight decay 0.1, clamped norm
    HERON_API static MuonOptions moonlight();      // lr 1e-3, weight decay 0.1, sum, match_rms
    // lr 0.01, weight decay 0.01, sum, no Nesterov, Polar Express, norm x 1.02 + 1e-8, sqrt_ratio
    HERON_API static MuonOptions dion();
    // Emerging-Optimizers: lr 3e-4, weight decay 0.01, no Nesterov, you5, norm clamped at 1e-15, spectral;
    // extra_scale 0.2 gives moonlight's factor
    HERON_API static MuonOptions emerging();
};

class HERON_API Muon : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Muon(const Device& device, const MuonOptions& options = {});
    const MuonOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    MuonOptions options_;
};

}  // namespace heron
