// SPDX-License-Identifier: MIT
// Lion's recipe: one operation a parameter. The kernel is shaders/optim/lion.comp.
#include "heron/optim/lion.hpp"

#include <cstddef>

#include "heron/spirv/lion.hpp"
#include "optim/checks.hpp"
#include "optim/element_job.hpp"
#include "optim/lion.h"

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

// gpu::LionHyper
std::vector<HyperValue> Lion::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(1.0 - options_.beta1),
            HyperValue::constant(1.0 - options_.beta2), HyperValue::constant(options_.weight_decay)};
}

void Lion::build(StepBuilder& step) const {
    step.graph().set_stage("lion");
    for (const StepBuilder::Item& item : step.items()) {
        const Tensor momentum = step.state(item, "momentum", DType::f32, item.weight.shape);
        if (item.weight.shape.count() == 0) continue;
        auto elements = element_job<gpu::LionJob>(step, item);
        elements.add_state(offsetof(gpu::LionJob, momentum), momentum);
        add_element_job(step, item, kLion, std::move(elements), 0, 8.0, 8.0);
    }
}

}  // namespace heron
