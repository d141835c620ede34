// SPDX-License-Identifier: MIT
// AdamW (arXiv 1711.05101) and AMSGrad (arXiv 1904.09237), element-wise, any shape.
//
//   m <- m + (1 - b1)(g - m);  v <- v + (1 - b2)(g^2 - v);  W <- (1 - lr wd) W - lr m^ / (sqrt(v^) + eps)
//
// State: m and v (AMSGrad: and the largest v), <parameter>.m, .v and .vmax, 8 bytes an element, 4 with
// moments in bf16, 2.03 in block8 (u32 of four codes; <parameter>.m_scale, .v_scale). 12 FLOPs and 28 bytes
// an element with f32 tensors (AMSGrad 36).
#pragma once

#include "heron/optim/moments.hpp"
#include "heron/train.hpp"

namespace heron {

struct AdamWOptions {
    float lr = 1e-3f;            // finite, >= 0; torch.optim.AdamW, as all defaults here
    double beta1 = 0.9;          // [0, 1); double, because 1 - 0.999f is off by 1.3e-5
    double beta2 = 0.999;        // [0, 1)
    float eps = 1e-8f;           // finite, >= 0; with 0 an element without any gradient so far stays
    float weight_decay = 0.01f;  // finite, >= 0; multiplied by lr
    bool amsgrad = false;        // denominator from the largest v so far (uncorrected, as torch)
    // Off with amsgrad, eps = 0 and weight_decay = 0: AMSGrad as its paper has it.
    bool bias_correction = true;
    bool eps_on_uncorrected = false;  // sqrt(v) + eps with v uncorrected (Moonlight)
    bool cautious_decay = false;      // decays only elements where m W >= 0, W as before the step (dion)
    MomentFormat moments = MomentFormat::f32;  // of m and v; f32 with amsgrad
    Schedule schedule;
};

class HERON_API AdamW : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit AdamW(const Device& device, const AdamWOptions& options = {});
    const AdamWOptions& options() const { return options_; }

private:
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    AdamWOptions options_;
};

}  // namespace heron
