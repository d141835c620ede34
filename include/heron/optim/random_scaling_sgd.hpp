// SPDX-License-Identifier: MIT
// SGD with momentum and exponential random scaling (Zhang and Cutkosky, "Random Scaling and Momentum for
// Non-smooth Non-convex Optimization", arXiv 2405.09742), element-wise, any shape.
//
//   D <- b (D - lr g) / (1 + lr mu);  s ~ Exp(1), one draw a step for all parameters;  W <- W + s D
//
// s comes from Philox, of StepOptions::seed and the number of the step alone: the same bits for every
// parameter group, after a resumption, for replicas with the same seed, and on every device
// (Distribution::exponential). 0 <= s <= 16.64.
//
// State: D, <parameter>.momentum, 4 bytes an element, 2 in bf16, 1.02 in block8. About 5 FLOPs and 20 bytes
// an element with f32 tensors.
#pragma once

#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

struct RandomScalingSgdOptions {
    float lr = 0.01f;    // finite, >= 0; the public implementation (ZQZCalin/trainit), as all defaults here
    double beta = 0.99;  // [0, 1)
    float mu = 0.0f;     // finite, >= 0; the paper's regularizer
    MomentFormat moments = MomentFormat::f32;  // of D; a step is along what D was before it is rounded
    Schedule schedule;
    // Where it has pieces, s in step t is its factor there instead of a draw: to repeat a run whose draws are
    // known, by Schedule::sequence().
    Schedule scales;
};

class HERON_API RandomScalingSgd : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit RandomScalingSgd(const Device& device, const RandomScalingSgdOptions& options = {});
    const RandomScalingSgdOptions& options() const { return options_; }

private:
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    RandomScalingSgdOptions options_;
};

}  // namespace heron
