// SPDX-License-Identifier: MIT
// NorMuon: Muon whose rows (neurons) move alike (Li et al., arXiv 2510.05491; zichongli5/NorMuon). For hidden
// matrices; give embeddings, heads, norms and biases to AdamW.
//
//   O = Muon's polar factor of the momentum
//   v_i <- beta2 v_i + (1 - beta2) mean_j O_ij^2
//   P_i = O_i / (sqrt(v_i) + eps);  P <- P |O| / (|P| + eps)
//   W <- W - lr wd W - lr factor(m, n) P
//
// A parameter with more than two axes is out x (the rest), or a batch of matrices (MatrixView::batch); each
// block is rescaled by itself. State: <parameter>.momentum, as large as the parameter; <parameter>.v,
// one number a row. Cost over Muon: 3 m n FLOPs and, since the last product leaves the squares of the rows,
// no pass over O: 20 m bytes, and m n / 8 on GPUs for a sum of every 64 columns. Means over columns (where m
// < n with shorter_side) and over slices of filters (ConvFactor::kernel) read O once more: 4 m n bytes (less
// with 16-bit iterates).
#pragma once

#include "heron/linalg.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

// Whose mean square is kept.
enum class NorMuonLines {
    rows,
    shorter_side,  // rows where m >= n, else columns: as long as the shorter side (modded-nanogpt)
};

enum class NorMuonScale {
    keep_norm,  // |O|, by shape_factor
    match_rms,  // 0.2 sqrt(m n): an RMS of 0.2, times shape_factor (the paper, whose factor is none)
};

struct NorMuonOptions {
    float lr = 0.02f;        // finite, >= 0; the authors' code, as are the other defaults
    double momentum = 0.95;  // [0, 1), at every step of its schedule
    double beta2 = 0.95;     // [0, 1)
    bool nesterov = true;
    float weight_decay = 0.0f;  // finite, >= 0; multiplied by lr
    float eps = 1e-10f;         // 1e-18 to 1
    // How eps enters: sqrt(v) + eps or, clamped, sqrt(max(v, eps)); |P| + eps or, clamped, max(|P|, eps).
    NormRule variance_rule = NormRule::added;
    NormRule rescale_rule = NormRule::added;
    NorMuonLines lines = NorMuonLines::rows;
    NorMuonScale scale = NorMuonScale::keep_norm;
    MomentumRule momentum_rule = MomentumRule::ema;
    ShapeFactor shape_factor = ShapeFactor::max_one_sqrt_ratio;
    DecayForm decay = DecayForm::decoupled;
    // kernel: as the authors' code does with a filter (out, in, kh, kw), whose rows are then those of each
    // kh x kw slice, which is rescaled by itself; with NorMuonLines::rows only.
    ConvFactor conv_factor = ConvFactor::matrix;
    PolarOptions polar;                        // muon x 5, norm + 1e-7
    MomentFormat moments = MomentFormat::f32;  // of M; v is f32
    Schedule schedule;
    Schedule momentum_schedule;  // factor on momentum

    // The published forms, with their authors' defaults.
    HERON_API static NorMuonOptions authors();  // the defaults, and ConvFactor::kernel
    HERON_API static NorMuonOptions paper();    // no Nesterov, match_rms without shape factor
    // microsoft/dion: lr 0.01, weight decay 0.01, sum, no Nesterov, Polar Express, norm x 1.02 + 1e-8, eps
    // 1e-8, clamped rescale, sqrt_ratio
    HERON_API static NorMuonOptions dion();
    // modded-nanogpt: lr 0.023, cautious decay 1.2 lr^2, beta2 0.9, shorter side, clamped, Polar Express,
    // norm x 1.02 + 1e-6, momentum from 0.85 in 300 steps and, where the training's steps are given (0, or
    // 350 and more; throws invalid_argument), back to 0.85 in the last 50
    HERON_API static NorMuonOptions modded(std::uint32_t total_steps = 0);
};

class HERON_API NorMuon : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit NorMuon(const Device& device, const NorMuonOptions& options = {});
    const NorMuonOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    NorMuonOptions options_;
};

}  // namespace heron
