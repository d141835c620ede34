// SPDX-License-Identifier: MIT
// SignSGD and Signum (arXiv 1802.04434; forms of NVIDIA's Emerging-Optimizers), element-wise.
//
//   m <- b m + (1 - b) g;  x = g (without momentum), m (Signum), or with Nesterov
//   x = b m / (1 - b^(t+1)) + (1 - b) g / (1 - b^t), or b m + (1 - b) g without bias correction
//   W <- (1 - lr wd) W - lr f sign(x)
//
// sign(0) is 0. State: m, <parameter>.momentum, 4 bytes an element, 2 in bf16, 1.02 in block8, none without
// momentum. About 6 FLOPs and 20 bytes an element with f32 tensors and momentum, 12 bytes without.
#pragma once

#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

struct SignSgdOptions {
    float lr = 1e-4f;              // finite, >= 0; as Lion's
    double momentum = 0.9;         // [0, 1); Emerging-Optimizers. 0: SignSGD
    bool nesterov = false;         // needs momentum > 0
    bool bias_correction = false;  // of the two terms of Nesterov; without it of no effect on a sign
    // f = 2 / (m + n) of an m x n matrix, else 1. For matrices: convolutions as out x (in kh kw), with
    // view.batch the last two axes.
    bool shape_scaling = false;
    float weight_decay = 0.0f;                 // finite, >= 0; multiplied by lr
    MomentFormat moments = MomentFormat::f32;  // of m
    Schedule schedule;
};

class HERON_API SignSgd : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit SignSgd(const Device& device, const SignSgdOptions& options = {});
    const SignSgdOptions& options() const { return options_; }

private:
    void check(const Parameter& parameter) const override;
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    SignSgdOptions options_;
};

}  // namespace heron
