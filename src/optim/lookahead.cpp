// SPDX-License-Identifier: MIT
// Lookahead's recipe: the inner optimizer's, then in a section that runs every `steps` steps one operation
// for each parameter, and one for its momentum. The kernels are shaders/optim/lookahead.comp and
// lookahead_momentum.comp.
#include "heron/optim/lookahead.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "core/enumerator.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/optim/psgd.hpp"
#include "heron/optim/psgd_lra.hpp"
#include "heron/spirv/lookahead.hpp"
#include "heron/spirv/lookahead_momentum.hpp"
#include "linalg/convert.hpp"
#include "optim/checks.hpp"
#include "optim/lookahead.h"
#include "optim/moments.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::LookaheadJob) == 88);
static_assert(sizeof(gpu::LookaheadMomentumJob) == 56);
constexpr KernelInfo kLookahead = make_kernel<gpu::LookaheadJob>("lookahead", spirv::lookahead);
constexpr KernelInfo kLookaheadMomentum =
    make_kernel<gpu::LookaheadMomentumJob>("lookahead_momentum", spirv::lookahead_momentum);

// The inner optimizer's first moment, in the shape and format that it has.
MomentState momentum_of(const StepBuilder& step, const StepBuilder::Item& item) {
    for (const char* name : {"momentum", "m"})
        if (const Tensor values = step.find_state(item, name))
            return {values, step.find_state(item, std::string(name) + "_scale")};
    refuse("Lookahead: the inner optimizer keeps no momentum of parameter " +
           in_quotes(item.parameter->name) +
           ", which LookaheadMomentum::reset and pullback change; use LookaheadMomentum::none");
}

// What is in the section of the synchronizations.
void begin_synchronization(StepBuilder& step, const LookaheadOptions& options) {
    step.graph().set_phase(Phase::step);
    step.graph().set_stage("lookahead");
    step.graph().set_section({.interval = options.steps, .phase = options.steps - 1});
}

void add_synchronization(StepBuilder& step, const StepBuilder::Item& item, const Tensor& slow, float alpha) {
    using Job = gpu::LookaheadJob;
    const std::uint64_t count = slow.shape.count();
    const ElementGrid grid = step.elements(count);
    Job job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(0, count, grid);
    job.alpha = alpha;
    std::vector<Operand> operands{{offsetof(Job, slow), slow, Access::read_write}};
    StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, 0, count);
    Operation operation = make_operation(kLookahead, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)}};
    operation.reason = step.variant_reason();
    operation.flops = 3.0 * static_cast<double>(count);
    operation.bytes = (StepBuilder::parameter_bytes(item) + 8.0) * static_cast<double>(count);
    step.graph().add(std::move(operation));
}

void add_pull_back(StepBuilder& step, const StepBuilder::Item& item, const MomentState& momentum,
                   const Tensor& slow, float alpha) {
    using Job = gpu::LookaheadMomentumJob;
    const std::uint64_t count = slow.shape.count();
    const ElementGrid grid = step.elements(count);
    Job job{};
    job.range = StepBuilder::range(0, count, grid);
    job.alpha = alpha;
    std::vector<Operand> operands{{offsetof(Job, slow), slow, Access::read_write}};
    add_moment(operands, offsetof(Job, momentum), job.momentum, item, momentum.values, 0, count);
    job.momentum.parameter += gpu::MOMENT_PULLED;
    Operation operation = make_operation(kLookaheadMomentum, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step.variant()};
    specialize_moments(operation, momentum.values.dtype);
    operation.reason = step.variant_reason();
    operation.flops = 3.0 * static_cast<double>(count);
    operation.bytes = (momentum.bytes() + 8.0) * static_cast<double>(count);
    step.graph().add(std::move(operation));
}

// In every format zeros are a momentum of zero.
void add_reset(StepBuilder& step, const MomentState& momentum) {
    for (const Tensor& part : {momentum.values, momentum.scales}) {
        if (!part || part.shape.count() == 0) continue;
        Tensor numbers = part;
        if (part.dtype == DType::u32) numbers.dtype = DType::f32;
        add_convert(step.graph(), {}, numbers, 0.0f, true);
    }
}

}  // namespace

Lookahead::Lookahead(const Device& device, std::unique_ptr<Optimizer> inner, const LookaheadOptions& options)
    : Optimizer(device, "lookahead"), inner_(std::move(inner)), options_(options) {
    if (inner_ == nullptr) refuse("Lookahead: the inner optimizer is null");
    if (dynamic_cast<const Lookahead*>(inner_.get()) != nullptr)
        refuse("Lookahead: the inner optimizer is a Lookahead; their slow weights would share a name");
    if (inner_->device().id() != device.id())
        refuse("Lookahead: the inner optimizer " + in_quotes(inner_->name()) +
               " was made for another device");
    if (!inner_->parameters().empty())
        refuse("Lookahead: the inner optimizer " + in_quotes(inner_->name()) +
               " has parameters; add them to the Lookahead");
    if (options.steps == 0) refuse("Lookahead: steps is 0, must be at least 1");
    check_option("Lookahead", "alpha", options.alpha, options.alpha >= 0 && options.alpha <= 1, "in [0, 1]");
    check_enum("Lookahead", "momentum", options.momentum, LookaheadMomentum::pullback);
}

Lookahead::~Lookahead() = default;

void Lookahead::add(Parameter parameter, const PsgdInputs& inputs) {
    check_parameter(parameter);
    if (auto* kron = dynamic_cast<PsgdKron*>(inner_.get()))
        kron->add(parameter, inputs);
    else if (auto* low_rank = dynamic_cast<PsgdLra*>(inner_.get()))
        low_rank->add(parameter, inputs);
    else
        refuse("Lookahead: the inner optimizer " + in_quotes(inner_->name()) +
               " takes no PsgdInputs; use add(parameter)");
    append(std::move(parameter));
}

void Lookahead::add_layer(Layer layer) {
    auto* layers = dynamic_cast<LayerOptimizer*>(inner_.get());
    if (layers == nullptr)
        refuse("Lookahead: the inner optimizer " + in_quotes(inner_->name()) +
               " takes single parameters, not layers; use add()");
    const Parameter weight = layer.weight;
    const std::optional<Parameter> bias = layer.bias;
    layers->add_layer(std::move(layer));
    append(weight);
    if (bias) append(*bias);
}

void Lookahead::check(const Parameter& parameter) const { inner_->check(parameter); }

std::vector<HyperValue> Lookahead::hyper() const { return inner_->hyper(); }

// "lookahead(sgd) steps=5 ... momentum=0.9 ...": a Lookahead around another algorithm is another algorithm.
std::string Lookahead::options_text() const {
    const std::string inner = inner_->options_text();
    const std::size_t name_end = std::min(inner.find(' '), inner.size());
    return "lookahead(" + inner.substr(0, name_end) + ") lookahead.steps=" + std::to_string(options_.steps) +
           " lookahead.alpha=" + number_text(options_.alpha) +
           " lookahead.momentum=" + std::to_string(static_cast<int>(options_.momentum)) +
           inner.substr(name_end);
}

void Lookahead::build(StepBuilder& step) const {
    inner_->build(step);
    const bool resets = options_.momentum == LookaheadMomentum::reset;
    const bool pulls = options_.momentum == LookaheadMomentum::pullback;
    for (const StepBuilder::Item& item : step.items()) {
        const MomentState momentum = resets || pulls ? momentum_of(step, item) : MomentState();
        const Tensor slow = step.state(item, "slow", DType::f32, item.weight.shape);
        Tensor slow_momentum;
        if (pulls) {
            if (momentum.values.dtype != DType::f32 && momentum.values.dtype != DType::bf16)
                refuse(
                    "Lookahead: the momentum of parameter " + in_quotes(item.parameter->name) +
                    " is kept in 8 bits, must be f32 or bf16 for LookaheadMomentum::pullback; use reset or "
                    "none");
            slow_momentum = step.state(item, "slow_momentum", DType::f32, momentum.values.shape);
        }
        if (item.weight.shape.count() == 0) continue;

        step.graph().set_section({});
        step.graph().set_phase(Phase::initialize);
        convert(step.graph(), item.weight, slow);

        begin_synchronization(step, options_);
        add_synchronization(step, item, slow, options_.alpha);
        if (resets) add_reset(step, momentum);
        if (pulls && slow_momentum.shape.count() > 0)
            add_pull_back(step, item, momentum, slow_momentum, options_.alpha);
    }
}

}  // namespace heron
