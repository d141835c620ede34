// SPDX-License-Identifier: MIT
// Lookahead's recipe: the inner optimizer's, then in a section that runs every `steps` steps one operation a
// parameter. The kernel is shaders/optim/lookahead.comp.
#include "heron/optim/lookahead.hpp"

#include <cstddef>
#include <optional>
#include <utility>

#include "core/enumerator.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/optim/psgd.hpp"
#include "heron/optim/psgd_lra.hpp"
#include "heron/spirv/lookahead.hpp"
#include "optim/checks.hpp"
#include "optim/lookahead.h"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::LookaheadJob) == 112);
constexpr KernelInfo kLookahead = make_kernel<gpu::LookaheadJob>("lookahead", spirv::lookahead);

// The inner optimizer's first moment.
Tensor momentum_of(const StepBuilder& step, const StepBuilder::Item& item) {
    for (const char* name : {"momentum", "m"})
        if (const Tensor momentum = step.find_state(item, name);
            momentum && momentum.dtype == DType::f32 && momentum.shape == item.weight.shape)
            return momentum;
    refuse("Lookahead: the inner optimizer keeps no momentum in f32 of parameter " +
           in_quotes(item.parameter->name) +
           ", which LookaheadMomentum::reset and pullback change; use LookaheadMomentum::none");
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
        const Shape& shape = item.weight.shape;
        const std::uint64_t count = shape.count();
        const Tensor momentum = resets || pulls ? momentum_of(step, item) : Tensor();
        const Tensor slow = step.state(item, "slow", DType::f32, shape);
        const Tensor slow_momentum = pulls ? step.state(item, "slow_momentum", DType::f32, shape) : Tensor();
        if (count == 0) continue;

        step.graph().set_section({});
        step.graph().set_phase(Phase::initialize);
        convert(step.graph(), item.weight, slow);

        step.graph().set_phase(Phase::step);
        step.graph().set_stage("lookahead");
        step.graph().set_section({.interval = options_.steps, .phase = options_.steps - 1});
        const ElementGrid grid = step.elements(count);
        gpu::LookaheadJob job{};
        job.parameter = step.parameter_operand(item);
        job.range = StepBuilder::range(0, count, grid);
        job.alpha = options_.alpha;
        job.flags = (resets ? gpu::LOOKAHEAD_RESET : 0) | (pulls ? gpu::LOOKAHEAD_PULLBACK : 0);
        // (A kernel may load from both sides of a branch: no address is null.)
        std::vector<Operand> operands{
            {offsetof(gpu::LookaheadJob, slow), slow, Access::read_write},
            {offsetof(gpu::LookaheadJob, momentum), momentum ? momentum : slow, Access::read_write},
            {offsetof(gpu::LookaheadJob, slow_momentum), slow_momentum ? slow_momentum : slow,
             Access::read_write}};
        StepBuilder::add_parameter(operands, offsetof(gpu::LookaheadJob, parameter), item, 0, count);
        Operation operation = make_operation(kLookahead, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                               step.variant(),
                               {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)}};
        operation.reason = step.variant_reason();
        operation.flops = (pulls ? 6.0 : 3.0) * static_cast<double>(count);
        operation.bytes = (StepBuilder::parameter_bytes(item) + 8.0 +
                           (resets  ? 4.0
                            : pulls ? 16.0
                                    : 0.0)) *
                          static_cast<double>(count);
        step.graph().add(std::move(operation));
    }
}

}  // namespace heron
