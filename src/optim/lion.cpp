// SPDX-License-Identifier: MIT
// Lion's recipe: one operation a parameter. The kernel is shaders/optim/lion.comp.
#include "heron/optim/lion.hpp"

#include <cstddef>

#include "heron/spirv/lion.hpp"
#include "optim/checks.hpp"
#include "optim/lion.h"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::LionJob) == 112);
constexpr KernelInfo kLion = make_kernel<gpu::LionJob>("lion", spirv::lion);

}  // namespace

Lion::Lion(const Device& device, const LionOptions& options) : Optimizer(device, "lion"), options_(options) {
    const LionOptions& o = options;
    check_option("Lion", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("Lion", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("Lion", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("Lion", "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
}

std::string Lion::options_text() const {
    return "lion beta1=" + number_text(options_.beta1) + " beta2=" + number_text(options_.beta2) +
           " weight_decay=" + number_text(options_.weight_decay);
}

// gpu::LionHyper
std::vector<HyperValue> Lion::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(1.0 - options_.beta1),
            HyperValue::constant(1.0 - options_.beta2), HyperValue::constant(options_.weight_decay)};
}

void Lion::build(StepBuilder& step) const {
    step.graph().set_stage("lion");
    for (const StepBuilder::Item& item : step.items()) {
        const Shape& shape = item.weight.shape;
        const std::uint64_t count = shape.count();
        const Tensor momentum = step.state(item, "momentum", DType::f32, shape);
        if (count == 0) continue;

        const ElementGrid grid = step.elements(count);
        gpu::LionJob job{};
        job.parameter = step.parameter_operand(item);
        job.range = StepBuilder::range(0, count, grid);
        std::vector<Operand> operands{{offsetof(gpu::LionJob, momentum), momentum, Access::read_write},
                                      {offsetof(gpu::LionJob, hyper), step.hyper(), Access::read}};
        StepBuilder::add_parameter(operands, offsetof(gpu::LionJob, parameter), item, 0, count);
        StepBuilder::add_gradient(operands, offsetof(gpu::LionJob, gradient), item);
        step.add_element_wise(make_operation(kLion, job, std::move(operands), grid.groups), item, grid, 0,
                              8.0, 8.0);
    }
}

}  // namespace heron
