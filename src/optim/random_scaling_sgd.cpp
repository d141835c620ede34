// SPDX-License-Identifier: MIT
// The recipe of SGD with exponential random scaling: one operation a parameter. The kernel is
// shaders/optim/random_scaling_sgd.comp; the advance kernel draws.
#include "heron/optim/random_scaling_sgd.hpp"

#include <cstddef>

#include "heron/spirv/random_scaling_sgd.hpp"
#include "heron/spirv/random_scaling_sgd_block8.hpp"
#include "optim/checks.hpp"
#include "optim/element_job.hpp"
#include "optim/moments.hpp"
#include "optim/random_scaling_sgd.h"

namespace heron {

namespace {

using Job = gpu::RandomScalingSgdJob;
static_assert(sizeof(Job) == 128);
constexpr ElementKernels kRandomScalingSgd{
    make_kernel<Job>("random_scaling_sgd", spirv::random_scaling_sgd),
    make_kernel<Job>("random_scaling_sgd_block8", spirv::random_scaling_sgd_block8)};

}  // namespace

RandomScalingSgd::RandomScalingSgd(const Device& device, const RandomScalingSgdOptions& options)
    : Optimizer(device, "random_scaling_sgd"), options_(options) {
    const RandomScalingSgdOptions& o = options;
    check_option("RandomScalingSgd", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("RandomScalingSgd", "beta", o.beta, o.beta >= 0 && o.beta < 1, "in [0, 1)");
    check_option("RandomScalingSgd", "mu", o.mu, o.mu >= 0, "finite and not below 0");
    check_moments("RandomScalingSgd", o.moments);
}

std::string RandomScalingSgd::options_text() const {
    return "random_scaling_sgd beta=" + number_text(options_.beta) + " mu=" + number_text(options_.mu) +
           moments_text(options_.moments);
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
        const MomentState momentum = moment_state(step, item, "momentum", options_.moments);
        if (item.weight.shape.count() == 0) continue;
        auto elements = element_job<Job>(step, item);
        elements.add_moment(&Job::momentum, offsetof(Job, momentum), step, item, momentum);
        add_element_job(step, item, kRandomScalingSgd, std::move(elements), 0, 5.0, momentum.bytes());
    }
}

}  // namespace heron
