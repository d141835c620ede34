// SPDX-License-Identifier: MIT
// The recipe of SGD with exponential random scaling: one operation a parameter. The kernel is
// shaders/optim/random_scaling_sgd.comp; the advance kernel draws.
#include "heron/optim/random_scaling_sgd.hpp"

#include <cstddef>

#include "heron/spirv/random_scaling_sgd.hpp"
#include "optim/checks.hpp"
#include "optim/random_scaling_sgd.h"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

using Job = gpu::RandomScalingSgdJob;
static_assert(sizeof(Job) == 112);
constexpr KernelInfo kRandomScalingSgd = make_kernel<Job>("random_scaling_sgd", spirv::random_scaling_sgd);

}  // namespace

RandomScalingSgd::RandomScalingSgd(const Device& device, const RandomScalingSgdOptions& options)
    : Optimizer(device, "random_scaling_sgd"), options_(options) {
    const RandomScalingSgdOptions& o = options;
    check_option("RandomScalingSgd", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("RandomScalingSgd", "beta", o.beta, o.beta >= 0 && o.beta < 1, "in [0, 1)");
    check_option("RandomScalingSgd", "mu", o.mu, o.mu >= 0, "finite and not below 0");
}

std::string RandomScalingSgd::options_text() const {
    return "random_scaling_sgd beta=" + number_text(options_.beta) + " mu=" + number_text(options_.mu);
}

// gpu::RandomScalingSgdHyper
std::vector<HyperValue> RandomScalingSgd::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.beta),
            HyperValue::constant(options_.mu),
            options_.scales.pieces().empty() ? HyperValue::exponential_draw()
                                             : HyperValue::scheduled(1.0f, options_.scales)};
}

void RandomScalingSgd::build(StepBuilder& step) const {
    step.graph().set_stage("random scaling sgd");
    for (const StepBuilder::Item& item : step.items()) {
        const Shape& shape = item.weight.shape;
        const std::uint64_t count = shape.count();
        const Tensor momentum = step.state(item, "momentum", DType::f32, shape);
        if (count == 0) continue;

        const ElementGrid grid = step.elements(count);
        Job job{};
        job.parameter = step.parameter_operand(item);
        job.range = StepBuilder::range(0, count, grid);
        std::vector<Operand> operands{{offsetof(Job, momentum), momentum, Access::read_write},
                                      {offsetof(Job, hyper), step.hyper(), Access::read}};
        StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, 0, count);
        StepBuilder::add_gradient(operands, offsetof(Job, gradient), item);
        step.add_element_wise(make_operation(kRandomScalingSgd, job, std::move(operands), grid.groups), item,
                              grid, 0, 5.0, 8.0);
    }
}

}  // namespace heron
