// SPDX-License-Identifier: MIT
// The recipe of SignSGD and Signum: one operation a parameter. The kernel is shaders/optim/signsgd.comp.
#include "heron/optim/signsgd.hpp"

#include <cstddef>

#include "heron/spirv/signsgd.hpp"
#include "heron/spirv/signsgd_block8.hpp"
#include "optim/checks.hpp"
#include "optim/element_job.hpp"
#include "optim/matrix_extents.hpp"
#include "optim/moments.hpp"
#include "optim/signsgd.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::SignSgdJob) == 128);
constexpr ElementKernels kSignSgd{make_kernel<gpu::SignSgdJob>("signsgd", spirv::signsgd),
                                  make_kernel<gpu::SignSgdJob>("signsgd_block8", spirv::signsgd_block8)};

// 2 / (rows + columns) of the matrix that a parameter is.
float matrix_factor(const Parameter& parameter) {
    const auto [rows, cols] = matrix_extents(parameter);
    return static_cast<float>(2.0 / (static_cast<double>(rows) + static_cast<double>(cols)));
}

}  // namespace

SignSgd::SignSgd(const Device& device, const SignSgdOptions& options)
    : Optimizer(device, "signsgd"), options_(options) {
    const SignSgdOptions& o = options;
    check_rate_and_decay("SignSgd", o.lr, o.weight_decay);
    check_option("SignSgd", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_moments("SignSgd", o.moments);
    if (o.nesterov && o.momentum == 0) refuse("SignSgd: nesterov needs a momentum above 0");
}

void SignSgd::check(const Parameter& parameter) const {
    const Shape& shape = parameter.weight.shape;
    if (options_.shape_scaling && shape.rank() < (parameter.view.batch ? 3u : 2u))
        refuse("SignSgd: parameter \"" + parameter.name + "\" has shape " + shape.text() +
               "; shape_scaling is for matrices" +
               (parameter.view.batch ? ", and with view.batch for at least three axes" : ""));
}

std::string SignSgd::options_text() const {
    return "signsgd momentum=" + number_text(options_.momentum) +
           " nesterov=" + std::to_string(options_.nesterov) +
           " bias_correction=" + std::to_string(options_.bias_correction) +
           " shape_scaling=" + std::to_string(options_.shape_scaling) +
           " weight_decay=" + number_text(options_.weight_decay) + moments_text(options_.moments);
}

// gpu::SignSgdHyper. A direction may be multiplied by any positive number: the terms of Nesterov are, by
// 1 - b^t.
std::vector<HyperValue> SignSgd::hyper() const {
    const double b = options_.momentum;
    HyperValue momentum_part = HyperValue::constant(1.0), gradient_part = HyperValue::constant(0.0);
    if (options_.nesterov) {
        momentum_part =
            options_.bias_correction ? HyperValue::correction_growth(b, b) : HyperValue::constant(b);
        gradient_part = HyperValue::constant(1.0 - b);
    }
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(1.0 - b), momentum_part,
            gradient_part, HyperValue::constant(options_.weight_decay)};
}

void SignSgd::build(StepBuilder& step) const {
    step.graph().set_stage("signsgd");
    const bool has_momentum = options_.momentum > 0;
    for (const StepBuilder::Item& item : step.items()) {
        const MomentState momentum =
            has_momentum ? moment_state(step, item, "momentum", options_.moments) : MomentState();
        if (item.weight.shape.count() == 0) continue;
        auto elements = element_job<gpu::SignSgdJob>(step, item);
        elements.job.shape_factor = options_.shape_scaling ? matrix_factor(*item.parameter) : 1.0f;
        if (momentum)
            elements.add_moment(&gpu::SignSgdJob::momentum, offsetof(gpu::SignSgdJob, momentum), step, item,
                                momentum);
        add_element_job(step, item, kSignSgd, std::move(elements), has_momentum ? gpu::SGD_MOMENTUM : 0, 6.0,
                        momentum ? momentum.bytes() : 0.0);
    }
}

}  // namespace heron
