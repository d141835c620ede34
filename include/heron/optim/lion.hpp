// SPDX-License-Identifier: MIT
// Lion (arXiv 2302.06675; google/automl), element-wise, any shape.
//
//   W <- (1 - lr wd) W - lr sign(b1 m + (1 - b1) g);  then m <- b2 m + (1 - b2) g
//
// sign(0) is 0. State: m, <parameter>.momentum, 4 bytes an element, 2 in bf16, 1.02 in block8. About 8 FLOPs
// and 20 bytes an element with f32 tensors.
#pragma once

#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

struct LionOptions {
    // finite, >= 0; all defaults are the authors'. They advise 3 to 10 times less than AdamW's, and a weight
    // decay larger by as much.
    float lr = 1e-4f;
    double beta1 = 0.9;                        // [0, 1); of what is stepped along
    double beta2 = 0.99;                       // [0, 1); of what is kept
    float weight_decay = 0.0f;                 // finite, >= 0; multiplied by lr
    MomentFormat moments = MomentFormat::f32;  // of m
    Schedule schedule;
};

class HERON_API Lion : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Lion(const Device& device, const LionOptions& options = {});
    const LionOptions& options() const { return options_; }

private:
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    LionOptions options_;
};

}  // namespace heron
