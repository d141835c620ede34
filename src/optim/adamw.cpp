// SPDX-License-Identifier: MIT
// AdamW's recipe: one operation a parameter. The kernels are shaders/optim/adamw.comp and
// adamw_block8.comp.
#include "optim/adamw.hpp"

#include <cstddef>

#include "heron/spirv/adamw.hpp"
#include "heron/spirv/adamw_block8.hpp"
#include "optim/adamw.h"
#include "optim/checks.hpp"
#include "optim/element_job.hpp"
#include "optim/moments.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::AdamWJob) == 160);
constexpr ElementKernels kAdamW{make_kernel<gpu::AdamWJob>("adamw", spirv::adamw),
                                make_kernel<gpu::AdamWJob>("adamw_block8", spirv::adamw_block8)};

}  // namespace

AdamW::AdamW(const Device& device, const AdamWOptions& options)
    : Optimizer(device, "adamw"), options_(options) {
    const AdamWOptions& o = options;
    check_rate_and_decay("AdamW", o.lr, o.weight_decay);
    check_option("AdamW", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("AdamW", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("AdamW", "eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_moments("AdamW", o.moments);
    // The largest of noisy numbers is too large.
    if (o.amsgrad && o.moments != MomentFormat::f32) refuse("AdamW: moments must be f32 with amsgrad");
}

std::string AdamW::options_text() const {
    return "adamw beta1=" + number_text(options_.beta1) + " beta2=" + number_text(options_.beta2) +
           " eps=" + number_text(options_.eps) + " weight_decay=" + number_text(options_.weight_decay) +
           " amsgrad=" + std::to_string(options_.amsgrad) +
           " bias_correction=" + std::to_string(options_.bias_correction) +
           " eps_on_uncorrected=" + std::to_string(options_.eps_on_uncorrected) +
           " cautious_decay=" + std::to_string(options_.cautious_decay) + moments_text(options_.moments);
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

void add_adamw(StepBuilder& step, const StepBuilder::Item& item, std::uint32_t flags, bool amsgrad,
               MomentFormat moments) {
    using Job = gpu::AdamWJob;
    const Shape& shape = item.weight.shape;
    const MomentState m = moment_state(step, item, "m", moments), v = moment_state(step, item, "v", moments);
    const Tensor v_max = amsgrad ? step.state(item, "vmax", DType::f32, shape) : Tensor();
    if (shape.count() == 0) return;
    auto elements = element_job<Job>(step, item);
    elements.job.flags = flags;
    elements.add_moment(&Job::moment1, offsetof(Job, moment1), step, item, m);
    elements.add_moment(&Job::moment2, offsetof(Job, moment2), step, item, v);
    if (v_max) elements.add_state(offsetof(Job, moment2_max), v_max);
    add_element_job(step, item, kAdamW, std::move(elements), amsgrad ? gpu::ADAMW_AMSGRAD : 0,
                    moments == MomentFormat::block8 ? 40.0 : 12.0,
                    m.bytes() + v.bytes() + (amsgrad ? 8.0 : 0.0));
}

std::vector<HyperValue> AdamW::hyper() const { return adamw_hyper(options_); }

void AdamW::build(StepBuilder& step) const {
    step.graph().set_stage("adamw");
    for (const StepBuilder::Item& item : step.items())
        add_adamw(step, item, options_.cautious_decay ? gpu::ADAMW_CAUTIOUS : 0, options_.amsgrad,
                  options_.moments);
}

}  // namespace heron
