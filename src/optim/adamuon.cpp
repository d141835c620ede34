// SPDX-License-Identifier: MIT
// AdaMuon's recipe: the polar factor of the momentum's signs, its second moment with partial norms of P, the
// update, which forms P again. The kernels are shaders/optim/adamuon_*.comp.
#include "heron/optim/adamuon.hpp"

#include <cmath>
#include <cstddef>
#include <utility>

#include "heron/spirv/adamuon_moment.hpp"
#include "heron/spirv/adamuon_update.hpp"
#include "optim/adamuon.h"
#include "optim/checks.hpp"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::AdaMuonMomentJob) == 56);
static_assert(sizeof(gpu::AdaMuonUpdateJob) == 128);
constexpr KernelInfo kMoment = make_kernel<gpu::AdaMuonMomentJob>("adamuon_moment", spirv::adamuon_moment);
constexpr KernelInfo kUpdate = make_kernel<gpu::AdaMuonUpdateJob>("adamuon_update", spirv::adamuon_update);

// Every workgroup of adamuon_update adds them up.
constexpr std::uint64_t kMaxPartials = 512;

// Updates V and returns partial sums of P's squares.
Tensor add_moment(StepBuilder& step, const MatrixBlock& block, const Tensor& direction, const Tensor& moment2,
                  const AdaMuonOptions& options) {
    using Job = gpu::AdaMuonMomentJob;
    const double elements = static_cast<double>(block.count());
    const ElementGrid grid = step.elements(block.count(), kMaxPartials);
    const Tensor partials = step.graph().temporary(DType::f32, Shape{grid.groups});
    Job job{};
    job.range = StepBuilder::range(block.first, block.count(), grid);
    job.rate = static_cast<float>(1.0 - options.momentum);
    job.eps = options.eps;
    std::vector<Operand> operands{{offsetof(Job, direction), direction, Access::read},
                                  {offsetof(Job, partials), partials, Access::write}};
    StepBuilder::add_part(operands, offsetof(Job, moment2), moment2, block.first, block.count(),
                          Access::read_write);
    Operation operation = make_operation(kMoment, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(direction.dtype)}};
    operation.reason = step.variant_reason();
    operation.flops = 8.0 * elements;
    operation.bytes = (8.0 + static_cast<double>(bytes_of(direction.dtype))) * elements;
    step.graph().add(std::move(operation));
    return partials;
}

void add_update(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block,
                const Tensor& direction, const Tensor& moment2, const Tensor& partials,
                const AdaMuonOptions& options) {
    using Job = gpu::AdaMuonUpdateJob;
    const double elements = static_cast<double>(block.count());
    const ElementGrid grid = step.elements_after_sums(block.count(), partials.shape[0]);
    Job job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(block.first, block.count(), grid);
    job.partial_count = static_cast<std::uint32_t>(partials.shape[0]);
    job.target = static_cast<float>(static_cast<double>(options.rms) * std::sqrt(elements));
    job.eps = options.eps;
    job.flags = decay_flags(options.decay);
    std::vector<Operand> operands{{offsetof(Job, direction), direction, Access::read},
                                  {offsetof(Job, partials), partials, Access::read},
                                  {offsetof(Job, hyper), step.hyper(), Access::read}};
    StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, block.first, block.count());
    StepBuilder::add_part(operands, offsetof(Job, moment2), moment2, block.first, block.count(),
                          Access::read);
    Operation operation = make_operation(kUpdate, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)},
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(direction.dtype)}};
    operation.reason = step.variant_reason();
    operation.flops = 6.0 * elements;
    operation.bytes =
        (4.0 + StepBuilder::parameter_bytes(item) + static_cast<double>(bytes_of(direction.dtype))) *
        elements;
    step.graph().add(std::move(operation));
}

}  // namespace

AdaMuonOptions AdaMuonOptions::paper() {
    AdaMuonOptions options;
    options.nesterov = false;
    options.momentum_rule = MomentumRule::sum;
    return options;
}

AdaMuon::AdaMuon(const Device& device, const AdaMuonOptions& options)
    : Optimizer(device, "adamuon"), options_(options) {
    const AdaMuonOptions& o = options;
    check_rate_and_decay("AdaMuon", o.lr, o.weight_decay);
    check_momentum("AdaMuon", o.momentum);
    check_option("AdaMuon", "eps", o.eps, o.eps >= 1e-18f && o.eps <= 1, "in [1e-18, 1]");
    check_option("AdaMuon", "rms", o.rms, o.rms > 0 && o.rms <= 1e6f, "above 0 and not above 1e6");
    check_enum("AdaMuon", "momentum_rule", o.momentum_rule, MomentumRule::sum);
    check_enum("AdaMuon", "decay", o.decay, DecayForm::after);
    check_moments("AdaMuon", o.moments);
    check_orthogonalizer("AdaMuon", o.polar);
}

void AdaMuon::check(const Parameter& parameter) const {
    matrix_blocks("AdaMuon", parameter, ShapeFactor::none);
}

std::string AdaMuon::options_text() const {
    const AdaMuonOptions& o = options_;
    return "adamuon momentum=" + number_text(o.momentum) + " nesterov=" + std::to_string(o.nesterov) +
           " sign=" + std::to_string(o.sign) + " weight_decay=" + number_text(o.weight_decay) +
           " eps=" + number_text(o.eps) + " rms=" + number_text(o.rms) +
           " momentum_rule=" + std::to_string(static_cast<int>(o.momentum_rule)) +
           " decay=" + std::to_string(static_cast<int>(o.decay)) + orthogonalizer_text(o.polar) +
           moments_text(options_.moments);
}

// gpu::MuonHyper
std::vector<HyperValue> AdaMuon::hyper() const {
    return matrix_hyper(options_.lr, options_.schedule, options_.momentum, options_.momentum_rule,
                        options_.weight_decay);
}

void AdaMuon::build(StepBuilder& step) const {
    const std::uint32_t flags =
        (options_.nesterov ? gpu::MUON_NESTEROV : 0) | (options_.sign ? gpu::MUON_SIGN : 0);
    for (const StepBuilder::Item& item : step.items()) {
        const Momentum momentum(step, item, options_.moments, flags, "adamuon");
        const Tensor moment2 = step.state(item, "v", DType::f32, item.weight.shape);
        for (const MatrixBlock& block : matrix_blocks("AdaMuon", *item.parameter, ShapeFactor::none)) {
            const Tensor factor =
                momentum_polar(step, item, momentum, block, options_.polar, flags, "adamuon");
            step.graph().set_stage("adamuon moment");
            const Tensor partials = add_moment(step, block, factor, moment2, options_);
            step.graph().set_stage("adamuon update");
            add_update(step, item, block, factor, moment2, partials, options_);
        }
    }
}

}  // namespace heron
