// SPDX-License-Identifier: MIT
// AdamW's recipe: one operation a parameter. The kernel is shaders/optim/adamw.comp.
#include "optim/adamw.hpp"

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

std::vector<HyperValue> adamw_hyper(const AdamWOptions& o) {
    HyperValue moment_scale = HyperValue::constant(1.0);
    HyperValue denominator_scale = HyperValue::constant(1.0);
    if (o.bias_correction && o.eps_on_uncorrected) {
        moment_scale = HyperValue::correction_ratio(o.beta1, o.beta2);
    } else if (o.bias_correction) {
        moment_scale = HyperValue::inverse_correction(o.beta1);
        denominator_scale = HyperValue::inverse_correction(o.beta2);
    }
    return {HyperValue::lr(o.lr, o.schedule),
            HyperValue::constant(1.0 - o.beta1),
            HyperValue::constant(1.0 - o.beta2),
            HyperValue::constant(o.weight_decay),
            HyperValue::constant(o.eps),
            moment_scale,
            denominator_scale};
}

void add_adamw(StepBuilder& step, const StepBuilder::Item& item, std::uint32_t flags, bool amsgrad) {
    const Shape& shape = item.weight.shape;
    const std::uint64_t count = shape.count();
    const Tensor m = step.state(item, "m", DType::f32, shape);
    const Tensor v = step.state(item, "v", DType::f32, shape);
    const Tensor v_max = amsgrad ? step.state(item, "vmax", DType::f32, shape) : Tensor();
    if (count == 0) return;

    const ElementGrid grid = step.elements(count);
    gpu::AdamWJob job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(0, count, grid);
    job.flags = flags;
    std::vector<Operand> operands{{offsetof(gpu::AdamWJob, moment1), m, Access::read_write},
                                  {offsetof(gpu::AdamWJob, moment2), v, Access::read_write},
                                  {offsetof(gpu::AdamWJob, hyper), step.hyper(), Access::read}};
    if (v_max) operands.push_back({offsetof(gpu::AdamWJob, moment2_max), v_max, Access::read_write});
    StepBuilder::add_parameter(operands, offsetof(gpu::AdamWJob, parameter), item, 0, count);
    StepBuilder::add_gradient(operands, offsetof(gpu::AdamWJob, gradient), item);
    step.add_element_wise(make_operation(kAdamW, job, std::move(operands), grid.groups), item, grid,
                          amsgrad ? gpu::ADAMW_AMSGRAD : 0, 12.0, amsgrad ? 24.0 : 16.0);
}

std::vector<HyperValue> AdamW::hyper() const { return adamw_hyper(options_); }

void AdamW::build(StepBuilder& step) const {
    step.graph().set_stage("adamw");
    for (const StepBuilder::Item& item : step.items())
        add_adamw(step, item, options_.cautious_decay ? gpu::ADAMW_CAUTIOUS : 0, options_.amsgrad);
}

}  // namespace heron
