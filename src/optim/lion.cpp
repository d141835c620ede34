// SPDX-License-Identifier: MIT
// Lion's recipe: one operation a parameter. The kernel is shaders/optim/lion.comp.
#include "optim/lion.hpp"

#include <cstddef>

#include "heron/spirv/lion.hpp"
#include "optim/checks.hpp"
#include "optim/element_job.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::LionJob) == 112);
constexpr KernelInfo kLion = make_kernel<gpu::LionJob>("lion", spirv::lion);

}  // namespace

Lion::Lion(const Device& device, const LionOptions& options) : Optimizer(device, "lion"), options_(options) {
    const LionOptions& o = options;
    check_rate_and_decay("Lion", o.lr, o.weight_decay);
    check_option("Lion", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("Lion", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
}

std::string Lion::options_text() const {
    return "lion beta1=" + number_text(options_.beta1) + " beta2=" + number_text(options_.beta2) +
           " weight_decay=" + number_text(options_.weight_decay);
}

std::vector<HyperValue> lion_hyper(const LionOptions& o) {
    return {HyperValue::lr(o.lr, o.schedule), HyperValue::constant(1.0 - o.beta1),
            HyperValue::constant(1.0 - o.beta2), HyperValue::constant(o.weight_decay)};
}

void add_lion(StepBuilder& step, const StepBuilder::Item& item, std::string_view momentum,
              std::uint32_t flags) {
    const Tensor state = step.state(item, momentum, DType::f32, item.weight.shape);
    if (item.weight.shape.count() == 0) return;
    auto elements = element_job<gpu::LionJob>(step, item);
    elements.job.flags = flags;
    elements.add_state(offsetof(gpu::LionJob, momentum), state);
    add_element_job(step, item, kLion, std::move(elements), 0, 8.0, 8.0);
}

std::vector<HyperValue> Lion::hyper() const { return lion_hyper(options_); }

void Lion::build(StepBuilder& step) const {
    step.graph().set_stage("lion");
    for (const StepBuilder::Item& item : step.items()) add_lion(step, item);
}

}  // namespace heron
