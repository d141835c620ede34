// SPDX-License-Identifier: MIT
// The recipe of stochastic gradient descent: one operation a parameter. The kernel is shaders/optim/sgd.comp.
#include "optim/sgd.hpp"

#include <cstddef>
#include <utility>

#include "heron/spirv/sgd.hpp"
#include "heron/spirv/sgd_block8.hpp"
#include "optim/checks.hpp"
#include "optim/element_job.hpp"
#include "optim/moments.hpp"
#include "optim/sgd.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::SgdJob) == 128);
constexpr ElementKernels kSgd{make_kernel<gpu::SgdJob>("sgd", spirv::sgd),
                              make_kernel<gpu::SgdJob>("sgd_block8", spirv::sgd_block8)};

}  // namespace

Sgd::Sgd(const Device& device, const SgdOptions& options) : Optimizer(device, "sgd"), options_(options) {
    const SgdOptions& o = options;
    check_rate_and_decay("Sgd", o.lr, o.weight_decay);
    check_option("Sgd", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option("Sgd", "dampening", o.dampening, o.dampening >= 0 && o.dampening <= 1, "in [0, 1]");
    check_moments("Sgd", o.moments);
    if (o.nesterov && o.momentum == 0) refuse("Sgd: nesterov needs a momentum above 0");
    if (o.nesterov && o.dampening != 0)
        refuse("Sgd: dampening is " + number_text(o.dampening) + ", must be 0 with nesterov");
}

std::string Sgd::options_text() const {
    return "sgd momentum=" + number_text(options_.momentum) +
           " dampening=" + number_text(options_.dampening) +
           " nesterov=" + std::to_string(options_.nesterov) +
           " weight_decay=" + number_text(options_.weight_decay) +
           " decoupled_decay=" + std::to_string(options_.decoupled_decay) + moments_text(options_.moments);
}

std::vector<HyperValue> sgd_hyper(const SgdOptions& o) {
    return {HyperValue::lr(o.lr, o.schedule), HyperValue::constant(o.momentum),
            HyperValue::after_first(1.0 - o.dampening), HyperValue::constant(o.weight_decay)};
}

void add_sgd(StepBuilder& step, const StepBuilder::Item& item, const SgdOptions& options) {
    using Job = gpu::SgdJob;
    const bool has_momentum = options.momentum > 0;
    const MomentState b =
        has_momentum ? moment_state(step, item, "momentum", options.moments) : MomentState();
    if (item.weight.shape.count() == 0) return;
    auto elements = element_job<Job>(step, item);
    elements.job.flags =
        (options.nesterov ? gpu::SGD_NESTEROV : 0) | (options.decoupled_decay ? gpu::SGD_DECOUPLED : 0);
    if (b) elements.add_moment(&Job::momentum, offsetof(Job, momentum), step, item, b);
    add_element_job(step, item, kSgd, std::move(elements), has_momentum ? gpu::SGD_MOMENTUM : 0, 6.0,
                    b ? b.bytes() : 0.0);
}

std::vector<HyperValue> Sgd::hyper() const { return sgd_hyper(options_); }

void Sgd::build(StepBuilder& step) const {
    step.graph().set_stage("sgd");
    for (const StepBuilder::Item& item : step.items()) add_sgd(step, item, options_);
}

}  // namespace heron
