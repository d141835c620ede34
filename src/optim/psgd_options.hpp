// SPDX-License-Identifier: MIT
// The options that PsgdKron and PsgdLra share: their ranges, their text, and what of them kernels read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heron/optim/psgd.hpp"
#include "optim/checks.hpp"
#include "optim/hyper.hpp"
#include "optim/moments.hpp"
#include "optim/psgd_step.hpp"

namespace heron {

// Newton's, unless the caller says otherwise: no clipping.
template <class Options>
Options psgd_newton() {
    Options options;
    options.lr = 0.01f;
    options.fit = PsgdFit::hessian;
    options.clip_rms = options.clip_element = 0;
    return options;
}

// Both throw (invalid_argument), in the name of `who`, naming the option that is out of range.
inline void check_psgd_chance(std::string_view who, std::string_view name, float value) {
    check_option(who, name, value, value >= 0 && value <= 1, "in [0, 1]");
}
template <class Options>
void check_psgd_options(std::string_view who, const Options& o) {
    const auto not_negative = [&](const char* name, float value) {
        check_option(who, name, value, value >= 0, "finite and not below 0");
    };
    not_negative("lr", o.lr);
    check_enum(who, "fit", o.fit, PsgdFit::hessian);
    check_option(who, "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option(who, "momentum with PsgdFit::momentum", o.momentum,
                 o.fit != PsgdFit::momentum || o.momentum > 0, "above 0");
    check_option(who, "preconditioner_lr", o.preconditioner_lr,
                 o.preconditioner_lr > 0 && o.preconditioner_lr <= 1, "in (0, 1]");
    check_option(who, "smoothness_decay", o.smoothness_decay,
                 o.smoothness_decay >= 0 && o.smoothness_decay < 1, "in [0, 1)");
    not_negative("damping", o.damping);
    not_negative("initial_scale", o.initial_scale);
    check_psgd_chance(who, "update_probability", o.update_probability);
    not_negative("clip_rms", o.clip_rms);
    not_negative("clip_element", o.clip_element);
    not_negative("clip_norm", o.clip_norm);
    not_negative("weight_decay", o.weight_decay);
    check_moments(who, o.moments, MomentFormat::bf16);
    check_option(who, "fit_first with PsgdFit::hessian", static_cast<int>(o.fit_first),
                 o.fit_first || o.fit != PsgdFit::hessian, "true");
}

// For Optimizer::options_text(), behind the algorithm's name and its own options.
template <class Options>
std::string psgd_options_text(const Options& o) {
    return " fit=" + std::to_string(static_cast<std::uint32_t>(o.fit)) +
           " momentum=" + number_text(o.momentum) + " preconditioner_lr=" + number_text(o.preconditioner_lr) +
           " smoothness_decay=" + number_text(o.smoothness_decay) + " damping=" + number_text(o.damping) +
           " initial_scale=" + number_text(o.initial_scale) +
           " update_probability=" + number_text(o.update_probability) +
           " fit_first=" + std::to_string(o.fit_first) + " clip_rms=" + number_text(o.clip_rms) +
           " clip_element=" + number_text(o.clip_element) + " clip_norm=" + number_text(o.clip_norm) +
           " weight_decay=" + number_text(o.weight_decay) + moments_text(o.moments);
}

// gpu::PsgdHyper, the gate of fits (kPsgdFitGate), and `second` (kPsgdBalanceGate).
template <class Options>
std::vector<HyperValue> psgd_hyper(std::string_view optimizer, const Options& o, const HyperValue& second) {
    return {HyperValue::lr(o.lr, o.schedule),
            HyperValue::constant(o.weight_decay),
            HyperValue::constant(o.momentum),
            HyperValue::constant(1.0 - o.momentum),
            HyperValue::constant(1.0),
            HyperValue::chance(optimizer, o.update_probability, o.update_schedule),
            second};
}

// What a fit with the numbers z works on: `product`, of the Hessian's; or `x`, the momentum; or the gradient.
template <class Options>
PsgdNoise psgd_noise(const Options& o, const Tensor& z, const Tensor& product, const Tensor& x) {
    PsgdNoise noise{.z = z, .damping = o.damping};
    if (o.fit == PsgdFit::hessian)
        noise.raw = product;
    else if (o.fit == PsgdFit::momentum || o.momentum == 0)
        noise.y = x;
    return noise;
}

}  // namespace heron
