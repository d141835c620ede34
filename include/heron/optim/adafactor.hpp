// SPDX-License-Identifier: MIT
// Adafactor (arXiv 1804.04235) as torch.optim.Adafactor and Hugging Face's transformers have it, any shape.
//
//   r <- r + t^decay (mean over columns of G^2 - r);  c <- c + t^decay (mean over rows of G^2 - c)
//   U = G / sqrt(r c^T / mean(r));  U <- U / max(1, RMS(U) / clip)
//   a = rate, with scale_parameter times max(eps2, RMS(W));  W <- decayed W - a U
//
// Of tensors with more than two axes the last two are factored, those before are a batch of matrices; vectors
// have their full second moment v. RMS is of the whole parameter. Forms:
//
//   torch         r c^T / max(mean(r), eps1), at least eps1^2;  W decays by 1 - lr wd
//   transformers  eps1 is added to every G^2;  W decays by 1 - a wd
//
// With beta1 > 0 a U becomes m <- beta1 m + (1 - beta1) a U.
//
// State in f32: <parameter>.row and .col, or .v; with beta1 .m. About 20 FLOPs and, with f32 tensors, 24
// bytes an element (20 without scale_parameter; beta1: 8 more): three passes over G, two of them over W.
#pragma once

#include "heron/train.hpp"

namespace heron {

enum class AdafactorForm { torch, transformers };  // whose denominators and decay

enum class AdafactorRate {
    capped,    // min(lr, 1 / sqrt(t)): torch; with lr = 0.01 the relative step of the paper
    warmup,    // min(1e-4 lr t, 1 / sqrt(t)): transformers' warmup_init with lr = 0.01
    constant,  // lr
};

struct AdafactorOptions {
    float lr = 0.01f;  // finite, >= 0; torch, as all defaults here. Parameter::lr_scale multiplies the rate
    AdafactorForm form = AdafactorForm::torch;
    AdafactorRate rate = AdafactorRate::capped;
    bool scale_parameter = true;
    double decay = -0.8;          // exponent of t, below 0
    double beta1 = 0.0;           // [0, 1); 0: no first moment
    float eps1 = 1.1920929e-7f;   // finite, >= 0; torch: of the parameter's type
    float eps2 = 1e-3f;           // finite, >= 0
    float clip_threshold = 1.0f;  // finite, > 0
    float weight_decay = 0.0f;    // finite, >= 0
    Schedule schedule;            // of lr

    // transformers' defaults: its form, eps1 1e-30, relative step capped at 0.01
    HERON_API static AdafactorOptions transformers();
};

class HERON_API Adafactor : public Optimizer {
public:
    // Throws (invalid_argument) naming the option that is out of range.
    explicit Adafactor(const Device& device, const AdafactorOptions& options = {});
    const AdafactorOptions& options() const { return options_; }

private:
    std::vector<HyperValue> hyper() const override;
    std::string options_text() const override;
    void build(StepBuilder& step) const override;
    AdafactorOptions options_;
};

}  // namespace heron
