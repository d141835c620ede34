// SPDX-License-Identifier: MIT
// AdamW's recipe: one operation a parameter. The kernel is shaders/optim/adamw.comp.
#include "heron/optim/adamw.hpp"

#include <cstddef>

#include "heron/spirv/adamw.hpp"
#include "optim/adamw.h"
#include "optim/checks.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::AdamWJob) == 128);
constexpr KernelInfo kAdamW = make_kernel<gpu::AdamWJob>("adamw", spirv::adamw);

}  // namespace

AdamW::AdamW(const Device& device, const AdamWOptions& options)
    : Optimizer(device, "adamw"), options_(options) {
    const AdamWOptions& o = options;
    check_option("AdamW", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("AdamW", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("AdamW", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("AdamW", "eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_option("AdamW", "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
}

std::string AdamW::options_text() const {
    return "adamw beta1=" + number_text(options_.beta1) + " beta2=" + number_text(options_.beta2) +
           " eps=" + number_text(options_.eps) + " weight_decay=" + number_text(options_.weight_decay) +
           " amsgrad=" + std::to_string(options_.amsgrad) +
           " bias_correction=" + std::to_string(options_.bias_correction) +
           " eps_on_uncorrected=" + std::to_string(options_.eps_on_uncorrected) +
           " cautious_decay=" + std::to_string(options_.cautious_decay);
}

// gpu::AdamWHyper
std::vector<HyperValue> AdamW::hyper() const {
    HyperValue moment_scale = HyperValue::constant(1.0);
    HyperValue denominator_scale = HyperValue::constant(1.0);
    if (options_.bias_correction && options_.eps_on_uncorrected) {
        moment_scale = HyperValue::correction_ratio(options_.beta1, options_.beta2);
    } else if (options_.bias_correction) {
        moment_scale = HyperValue::inverse_correction(options_.beta1);
        denominator_scale = HyperValue::inverse_correction(options_.beta2);
    }
    return {HyperValue::lr(options_.lr, options_.schedule),
            HyperValue::constant(1.0 - options_.beta1),
            HyperValue::constant(1.0 - options_.beta2),
            HyperValue::constant(options_.eps),
            HyperValue::constant(options_.weight_decay),
            moment_scale,
            denominator_scale};
}

void AdamW::build(StepBuilder& step) const {
    step.graph().set_stage("adamw");
    for (const StepBuilder::Item& item : step.items()) {
        const Shape& shape = item.weight.shape;
        const std::uint64_t count = shape.count();
        const Tensor m = step.state(item, "m", DType::f32, shape);
        const Tensor v = step.state(item, "v", DType::f32, shape);
        const Tensor v_max = options_.amsgrad ? step.state(item, "vmax", DType::f32, shape) : Tensor();
        if (count == 0) continue;

        const ElementGrid grid = step.elements(count);
        gpu::AdamWJob job{};
        job.parameter = step.parameter_operand(item);
        job.range = StepBuilder::range(0, count, grid);
        job.flags =
            (options_.amsgrad ? gpu::ADAMW_AMSGRAD : 0) | (options_.cautious_decay ? gpu::ADAMW_CAUTIOUS : 0);
        std::vector<Operand> operands{{offsetof(gpu::AdamWJob, moment1), m, Access::read_write},
                                      {offsetof(gpu::AdamWJob, moment2), v, Access::read_write},
                                      {offsetof(gpu::AdamWJob, hyper), step.hyper(), Access::read}};
        if (v_max) operands.push_back({offsetof(gpu::AdamWJob, moment2_max), v_max, Access::read_write});
        StepBuilder::add_parameter(operands, offsetof(gpu::AdamWJob, parameter), item, 0, count);
        StepBuilder::add_gradient(operands, offsetof(gpu::AdamWJob, gradient), item, 0, count);

        step.add_element_wise(make_operation(kAdamW, job, std::move(operands), grid.groups), item, grid,
                              options_.amsgrad ? gpu::ADAMW_AMSGRAD : 0, 12.0,
                              options_.amsgrad ? 24.0 : 16.0);
    }
}

}  // namespace heron
