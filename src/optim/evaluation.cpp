// SPDX-License-Identifier: MIT
#include "heron/optim/evaluation.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "heron/linalg/reduce.hpp"
#include "linalg/integers.hpp"
#include "optim/checks.hpp"

namespace heron {

namespace {

constexpr std::uint64_t kAlignment = 16;  // of a tensor of the backup, bytes

const Plan::StateEntry& state_of(const std::vector<Plan::StateEntry>& states, const Parameter& parameter,
                                 std::string_view state) {
    const std::string name = parameter.name + "." + std::string(state);
    const auto found = std::find_if(states.begin(), states.end(),
                                    [&](const Plan::StateEntry& entry) { return entry.name == name; });
    if (found == states.end() || found->dtype != DType::f32 || !(found->shape == parameter.weight.shape))
        refuse("EvaluationWeights: the plan has no state " + in_quotes(name) +
               " in f32 and the parameter's shape; \"slow\" is Lookahead's, \"ema\" that of "
               "StepOptions::ema_decay");
    return *found;
}

Plan compiled(Graph& graph, const char* name) {
    Plan plan = graph.compile({.name = name});
    plan.allocate();
    return plan;
}

}  // namespace

EvaluationWeights::EvaluationWeights(const Plan& training, std::span<const Parameter> parameters,
                                     std::string_view state) {
    const Device& device = training.device();
    const std::vector<Plan::StateEntry> states = training.states();
    std::uint64_t bytes = 0;
    for (const Parameter& parameter : parameters) {
        state_of(states, parameter, state);
        bytes += ceil_div(parameter.weight.span_bytes(), kAlignment) * kAlignment;
    }
    backup_ = device.create_buffer(std::max(bytes, kAlignment));
    Graph load(device), restore(device);
    std::uint64_t offset = 0;
    for (const Parameter& parameter : parameters) {
        const TensorView& weight = parameter.weight;
        if (weight.shape.count() == 0) continue;
        const TensorView copy = backup_.view(weight.dtype, weight.shape, offset);
        offset += ceil_div(weight.span_bytes(), kAlignment) * kAlignment;
        const std::string name = state_of(states, parameter, state).name;
        const Tensor there = load.external(parameter.name, weight);
        convert(load, there, load.external(parameter.name + ".backup", copy), 1.0f, false);
        convert(load, load.external(name, training.state_view(name)), there, 1.0f, false);
        convert(restore, restore.external(parameter.name + ".backup", copy),
                restore.external(parameter.name, weight), 1.0f, false);
    }
    load_ = compiled(load, "load evaluation weights");
    restore_ = compiled(restore, "restore weights");
}

void EvaluationWeights::record_load(VkCommandBuffer commands) { load_.record(commands); }
void EvaluationWeights::record_restore(VkCommandBuffer commands) { restore_.record(commands); }

void EvaluationWeights::load() {
    if (loaded_) refuse("EvaluationWeights: they are loaded; restore() comes next");
    load_.run();
    loaded_ = true;
}

void EvaluationWeights::restore() {
    if (!loaded_) refuse("EvaluationWeights: they are not loaded; load() comes next");
    restore_.run();
    loaded_ = false;
}

}  // namespace heron
