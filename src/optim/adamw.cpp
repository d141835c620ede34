// SPDX-License-Identifier: MIT
// AdamW's recipe: one operation a parameter. The kernel is shaders/optim/adamw.comp.
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
constexpr KernelInfo kAdamW = make_kernel<gpu::AdamWJob>("adamw", spirv::adamw);
static_assert(sizeof(gpu::AdamWBlock8Job) == 144);
constexpr KernelInfo kAdamWBlock8 = make_kernel<gpu::AdamWBlock8Job>("adamw_block8", spirv::adamw_block8);

// Moments in 8 bits: as the other form, but one workgroup a block.
void add_adamw_block8(StepBuilder& step, const StepBuilder::Item& item, std::uint32_t flags) {
    using Job = gpu::AdamWBlock8Job;
    const std::uint64_t blocks = (item.weight.shape.count() + gpu::MOMENT_BLOCK - 1) / gpu::MOMENT_BLOCK;
    const Shape words{blocks * gpu::MOMENT_BLOCK / 4}, scales{blocks};
    const Tensor m = step.state(item, "m", DType::u32, words);
    const Tensor v = step.state(item, "v", DType::u32, words);
    const Tensor m_scale = step.state(item, "m_scale", DType::f32, scales);
    const Tensor v_scale = step.state(item, "v_scale", DType::f32, scales);
    if (blocks == 0) return;
    auto elements = element_job<Job>(step, item);
    const Capabilities& capabilities = step.device().capabilities();
    elements.grid = {threads_of(capabilities, capabilities.cpu ? 8 : gpu::MOMENT_BLOCK / 4), 1, blocks};
    elements.job.flags = flags;
    elements.job.index = item.index;
    elements.add_state(offsetof(Job, codes1), m);
    elements.add_state(offsetof(Job, codes2), v);
    elements.add_state(offsetof(Job, scales1), m_scale);
    elements.add_state(offsetof(Job, scales2), v_scale);
    add_element_job(step, item, kAdamWBlock8, std::move(elements), 0, 40.0, 4.0 + 16.0 / gpu::MOMENT_BLOCK);
}

}  // namespace

AdamW::AdamW(const Device& device, const AdamWOptions& options)
    : Optimizer(device, "adamw"), options_(options) {
    const AdamWOptions& o = options;
    check_rate_and_decay("AdamW", o.lr, o.weight_decay);
    check_option("AdamW", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("AdamW", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("AdamW", "eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_moments("AdamW", o.moments, MomentFormat::block8);
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
    if (moments == MomentFormat::block8) return add_adamw_block8(step, item, flags);
    const Shape& shape = item.weight.shape;
    const Tensor m = step.state(item, "m", moment_dtype(moments), shape);
    const Tensor v = step.state(item, "v", moment_dtype(moments), shape);
    const Tensor v_max = amsgrad ? step.state(item, "vmax", DType::f32, shape) : Tensor();
    if (shape.count() == 0) return;
    auto elements = element_job<gpu::AdamWJob>(step, item);
    elements.job.flags = flags;
    elements.add_moment(&gpu::AdamWJob::moment1, offsetof(gpu::AdamWJob, moment1), item, m);
    elements.add_moment(&gpu::AdamWJob::moment2, offsetof(gpu::AdamWJob, moment2), item, v);
    if (v_max) elements.add_state(offsetof(gpu::AdamWJob, moment2_max), v_max);
    add_element_job(step, item, kAdamW, std::move(elements), amsgrad ? gpu::ADAMW_AMSGRAD : 0, 12.0,
                    4.0 * static_cast<double>(bytes_of(m.dtype)) + (amsgrad ? 8.0 : 0.0));
}

std::vector<HyperValue> AdamW::hyper() const { return adamw_hyper(options_); }

void AdamW::build(StepBuilder& step) const {
    step.graph().set_stage("adamw");
    for (const StepBuilder::Item& item : step.items())
        add_adamw(step, item, options_.cautious_decay ? gpu::ADAMW_CAUTIOUS : 0, options_.amsgrad,
                  options_.moments);
}

}  // namespace heron
