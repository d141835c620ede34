// SPDX-License-Identifier: MIT
// Lion's recipe: one operation a parameter. The kernel is shaders/optim/lion.comp.
#include "optim/lion.hpp"

#include <cstddef>

#include "heron/spirv/lion.hpp"
#include "heron/spirv/lion_block8.hpp"
#include "optim/checks.hpp"
#include "optim/element_job.hpp"
#include "optim/moments.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::LionJob) == 128);
constexpr ElementKernels kLion{make_kernel<gpu::LionJob>("lion", spirv::lion),
                               make_kernel<gpu::LionJob>("lion_block8", spirv::lion_block8)};

}  // namespace

Lion::Lion(const Device& device, const LionOptions& options) : Optimizer(device, "lion"), options_(options) {
    const LionOptions& o = options;
    check_rate_and_decay("Lion", o.lr, o.weight_decay);
    check_option("Lion", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("Lion", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_moments("Lion", o.moments);
}

std::string Lion::options_text() const {
    return "lion beta1=" + number_text(options_.beta1) + " beta2=" + number_text(options_.beta2) +
           " weight_decay=" + number_text(options_.weight_decay) + moments_text(options_.moments);
}

std::vector<HyperValue> lion_hyper(const LionOptions& o) {
    return {HyperValue::lr(o.lr, o.schedule), HyperValue::constant(1.0 - o.beta1),
            HyperValue::constant(1.0 - o.beta2), HyperValue::constant(o.weight_decay)};
}

void add_lion(StepBuilder& step, const StepBuilder::Item& item, std::string_view momentum,
              std::uint32_t flags, MomentFormat moments) {
    const MomentState state = moment_state(step, item, momentum, moments);
    if (item.weight.shape.count() == 0) return;
    auto elements = element_job<gpu::LionJob>(step, item);
    elements.job.flags = flags;
    elements.add_moment(&gpu::LionJob::momentum, offsetof(gpu::LionJob, momentum), step, item, state);
    add_element_job(step, item, kLion, std::move(elements), 0, 8.0, state.bytes());
}

std::vector<HyperValue> Lion::hyper() const { return lion_hyper(options_); }

void Lion::build(StepBuilder& step) const {
    step.graph().set_stage("lion");
    for (const StepBuilder::Item& item : step.items()) add_lion(step, item, "momentum", 0, options_.moments);
}

}  // namespace heron
