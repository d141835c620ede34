// SPDX-License-Identifier: MIT
// Muon: momentum, orthogonalized by Newton-Schulz (Jordan et al. 2024; at scale: arXiv 2502.16982).
// For hidden matrices; give embeddings, heads, norms and biases to AdamW.
//
//   M <- momentum rule;  U = Nesterov(M, G);  O = polar(U);  W <- W - lr wd W - lr factor(m, n) O
//
// A parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView::batch).
// State: M, f32, as large as the parameter, <parameter>.momentum. FLOPs: T (3 k^2 K + k^3) + 9 m n; bytes:
// 54 m n + 40 k^2 with f32 tensors.
#pragma once

#include "heron/linalg.hpp"
#include "heron/train.hpp"

namespace heron {

enum class MomentumRule {
    ema,  // M <- mu M + (1 - mu) G;  Nesterov: U = (1 - mu) G + mu M     (KellerJordan, torch)
    sum,  // M <- mu M + G;           Nesterov: U = G + mu M              (Moonlight, dion)
};

// Factor on the update of an m x n matrix.
enum class ShapeFactor {
    none,
    max_one_sqrt_ratio,  // sqrt(max(1, m/n))      KellerJordan, torch "original"
    sqrt_ratio,          // sqrt(m/n)              dion "spectral_norm"
    match_rms,           // 0.2 sqrt(max(m, n))    Moonlight, torch "match_rms_adamw", dion "rms_norm"
    spectral,            // sqrt(max(m, n))        Emerging-Optimizers "spectral"
};

enum class DecayForm {
    decoupled,  // W <- (1 - lr wd) W before the update
    cautious,   // decays only elements where sign(W O) >= 0, W as before the step (dion)
};

// Which dimensions of a convolution's filter (out, in, kh, kw) the shape factor uses; the iteration always
// sees out x (in kh kw).
enum class ConvFactor {
    matrix,  // out and in kh kw (dion flatten)
    kernel,  // kh and kw, as KellerJordan's code does
};

struct MuonOptions {
    float lr = 0.02f;        // finite, >= 0; KellerJordan
    double momentum = 0.95;  // [0, 1)
    bool nesterov = true;
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr
    MomentumRule momentum_rule = MomentumRule::ema;
    ShapeFactor shape_factor = ShapeFactor::max_one_sqrt_ratio;
    DecayForm decay = DecayForm::decoupled;
    ConvFactor conv_factor = ConvFactor::matrix;
    PolarOptions polar;  // muon x 5, norm + 1e-7
    Schedule schedule;

    // The published forms, with their authors' defaults.
    HERON_API static MuonOptions keller_jordan();  // the factor of a convolution from kh and kw
    HERON_API static MuonOptions torch();          // lr 1e-3, weight decay 0.1, clamped norm
    HERON_API static MuonOptions moonlight();      // lr 1e-3, weight decay 0.1, sum, match_rms
    // lr 0.01, weight decay 0.01, sum, no Nesterov, Polar Express, norm x 1.02 + 1e-8, sqrt_ratio
    HERON_API static MuonOptions dion();
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
