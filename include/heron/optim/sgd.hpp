// SPDX-License-Identifier: MIT
// Stochastic gradient descent with momentum and Nesterov momentum, as torch.optim.SGD, element-wise, any
// shape.
//
//   g <- G + wd W (coupled) or W <- (1 - lr wd) W (decoupled)
//   b <- mu b + (1 - dampening) g (first step: b = g)
//   W <- W - lr (g + mu b) (Nesterov), W - lr b (momentum) or W - lr g (neither)
//
// State: b, <parameter>.momentum, 4 bytes an element, 2 in bf16, 1.02 in block8, none without momentum. 6
// FLOPs and 20 bytes an element with f32 tensors and momentum, 12 bytes without.
#pragma once

#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

struct SgdOptions {
    float lr = 1e-3f;                          // finite, >= 0; torch
    double momentum = 0.0;                     // [0, 1)
    double dampening = 0.0;                    // [0, 1]; must be 0 with Nesterov
    bool nesterov = false;                     // needs momentum > 0
    float weight_decay = 0.0f;                 // finite, >= 0
    bool decoupled_decay = false;              // decay multiplied by lr and kept out of the momentum
    MomentFormat moments = MomentFormat::f32;  // of b
    Schedule schedule;
};

class HERON_API Sgd : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Sgd(const Device& device, const SgdOptions& options = {});
    const SgdOptions& options() const { return options_; }

private:
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    SgdOptions options_;
};

}  // namespace heron
