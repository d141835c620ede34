// SPDX-License-Identifier: MIT
#include "optim/step_checks.hpp"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "heron/optim/layer.hpp"
#include "heron/optim/lookahead.hpp"
#include "optim/checks.hpp"
#include "state/safetensors_format.hpp"

namespace heron {

namespace {

// A range of addresses that a step writes (weights) or reads (gradients, captures).
struct Extent {
    VkDeviceAddress begin;
    VkDeviceAddress end;
    bool weight;
    const Parameter* parameter;
    const char* what;
};

// Weights may overlap nothing else that the step touches; what is only read may be shared.
void check_overlaps(std::span<const Optimizer* const> optimizers) {
    std::vector<Extent> extents;
    const auto add = [&](const TensorView& view, const Parameter& parameter, const char* what) {
        if (view.span_bytes() > 0)
            extents.push_back({view.address, view.address + view.span_bytes(), &view == &parameter.weight,
                               &parameter, what});
    };
    for (const Optimizer* optimizer : optimizers) {
        for (const Parameter& parameter : optimizer->parameters()) {
            add(parameter.weight, parameter, "weight of ");
            add(parameter.gradient, parameter, "gradient of ");
        }
        const auto* wrapper = dynamic_cast<const Lookahead*>(optimizer);
        const auto* layers =
            dynamic_cast<const LayerOptimizer*>(wrapper != nullptr ? &wrapper->inner() : optimizer);
        if (layers == nullptr) continue;
        for (const Layer& layer : layers->layers()) {
            add(layer.inputs, layer.weight, "inputs of ");
            add(layer.output_gradients, layer.weight, "output gradients of ");
        }
    }
    std::sort(extents.begin(), extents.end(),
              [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
    const Extent* weight = nullptr;  // of those so far, the one that reaches furthest
    const Extent* gradient = nullptr;
    for (const Extent& extent : extents) {
        const Extent* other = weight != nullptr && weight->end > extent.begin ? weight : nullptr;
        if (other == nullptr && extent.weight && gradient != nullptr && gradient->end > extent.begin)
            other = gradient;
        if (other != nullptr) {
            refuse(
                std::string("compile: the ") + other->what + in_quotes(other->parameter->name) + " and the " +
                extent.what + in_quotes(extent.parameter->name) +
                " overlap in memory; every weight needs memory of its own, and one parameter belongs to one "
                "optimizer");
        }
        const Extent*& furthest = extent.weight ? weight : gradient;
        if (furthest == nullptr || extent.end > furthest->end) furthest = &extent;
    }
}

void check_options(const StepOptions& options) {
    const std::string who = "StepOptions";
    check_option(who, "clip_norm", options.clip_norm, options.clip_norm >= 0,
                 "finite and not below 0 (0: none)");
    check_option(who, "clip_value", options.clip_value, options.clip_value >= 0,
                 "finite and not below 0 (0: none)");
    check_option(who, "ema_decay", options.ema_decay, options.ema_decay >= 0 && options.ema_decay < 1,
                 "in [0, 1)");
    const LossScaleOptions& scale = options.loss_scale;
    check_option(who, "loss_scale.initial", scale.initial,
                 scale.initial >= kSmallestLossScale && scale.initial <= kLargestLossScale,
                 "between 2^-24 and 2^120");
    check_option(who, "loss_scale.growth", scale.growth, scale.growth >= 1, "finite and at least 1");
    check_option(who, "loss_scale.backoff", scale.backoff, scale.backoff > 0 && scale.backoff <= 1,
                 "in (0, 1]");
    if (scale.growth_interval == 0) refuse(who + ": loss_scale.growth_interval is 0, must be at least 1");
    if (scale.dynamic && !options.skip_nonfinite)
        refuse(
            who +
            ": loss_scale.dynamic without skip_nonfinite would apply the overflowed gradients that it reacts "
            "to; set skip_nonfinite");
}

}  // namespace

void check_step(const Device& device, std::span<const Optimizer* const> optimizers,
                const StepOptions& options) {
    check_options(options);
    std::unordered_set<std::string_view> optimizer_names, parameter_names;
    std::unordered_set<const Optimizer*> seen;
    for (const Optimizer* optimizer : optimizers) {
        if (optimizer == nullptr) refuse("compile: an optimizer is null");
        if (!seen.insert(optimizer).second)
            refuse("compile: the optimizer " + in_quotes(optimizer->name()) + " is given twice");
        if (optimizer->device().id() != device.id())
            refuse("compile: the optimizer " + in_quotes(optimizer->name()) +
                   " was made for another device; make it with the device that compiles");
        if (optimizer->name().empty()) refuse("compile: an optimizer has an empty name; use set_name()");
        if (!state::valid_utf8(optimizer->name()))
            refuse("compile: the name " + in_quotes(optimizer->name()) +
                   " of an optimizer is not UTF-8, checkpoints could not hold it; use set_name()");
        if (!optimizer_names.insert(optimizer->name()).second)
            refuse("compile: two optimizers are called " + in_quotes(optimizer->name()) +
                   "; tell them apart with set_name()");
        for (const Parameter& parameter : optimizer->parameters())
            if (!parameter_names.insert(parameter.name).second)
                refuse("compile: two parameters are called " + in_quotes(parameter.name) +
                       "; names are unique in a plan, states are saved under them");
    }
    check_overlaps(optimizers);
}

}  // namespace heron
