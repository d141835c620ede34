// SPDX-License-Identifier: MIT
// AdaMuon: Muon of the momentum's signs, with a second moment of the result (Si, Zhang, Shen, arXiv
// 2507.11005; Chongjie-Si/AdaMuon). For hidden matrices; give embeddings, heads, norms and biases to AdamW.
//
//   M <- momentum rule;  U = Nesterov(M, G);  O = polar(sign(U)), sign(0) = 0
//   V <- mu V + (1 - mu) O^2;  P = O / (sqrt(V) + eps);  gamma = rms sqrt(m n) / (|P| + eps)
//   W <- W - lr wd W - lr gamma P
//
// The first step moves every element by rms lr. A parameter with more than two axes is out x (the rest), or a
// batch of matrices (MatrixView::batch); m n is the number of a block's elements, for filters, too (where the
// authors' code takes two of its four axes). States, as large as the parameter: <parameter>.momentum,
// <parameter>.v. Cost over Muon: 11 m n FLOPs and 16 m n bytes: a pass that reads O, updates V and leaves
// partial sums of |P|^2, before which no element of the update is known (12 m n), and V in the update (4 m
// n), which forms P again rather than have the pass write it. Of these V itself takes 8. The other 8, of the
// 150 to 270 m n bytes of a step with muon x 5, are the price of a pass of its own: a last product that
// updates V and leaves P in place of O would save them, but every kernel of products and the one-workgroup
// iteration would have to load and store V beside their results. (What NorMuon takes from the product, sums
// of O's rows, needs nothing but O.)
#pragma once

#include "heron/linalg.hpp"
#include "heron/optim/matrix.hpp"
#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

struct AdaMuonOptions {
    float lr = 0.02f;        // finite, >= 0; the authors' code, as are the other defaults
    double momentum = 0.95;  // [0, 1); of both moments
    bool nesterov = true;
    bool sign = true;            // false: the first version of the paper, and NVIDIA's
    float weight_decay = 0.01f;  // finite, >= 0; multiplied by lr
    float eps = 1e-8f;           // 1e-18 to 1
    float rms = 0.2f;            // root mean square of the update, without lr; above 0
    MomentumRule momentum_rule = MomentumRule::ema;
    DecayForm decay = DecayForm::decoupled;
    PolarOptions polar;                        // muon x 5, norm + 1e-7
    MomentFormat moments = MomentFormat::f32;  // of M; V is f32
    Schedule schedule;

    HERON_API static AdaMuonOptions paper();  // sum, no Nesterov
};

class HERON_API AdaMuon : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit AdaMuon(const Device& device, const AdaMuonOptions& options = {});
    const AdaMuonOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    AdaMuonOptions options_;
};

}  // namespace heron
