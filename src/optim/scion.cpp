// SPDX-License-Identifier: MIT
// Scion's recipe, by norm:
//
//   spectral   momentum and polar factor (momentum_polar.hpp)  |  update
//   sign       momentum and update in one pass (shaders/optim/scion_sign.comp)
//   frobenius  momentum, with partial norms  |  their sum  |  update
//   lines      momentum  |  norms of rows or columns  |  update
#include "heron/optim/scion.hpp"

#include <cstddef>
#include <utility>

#include "heron/linalg/norms.hpp"
#include "heron/spirv/scion_sign.hpp"
#include "heron/spirv/scion_sign_stateless.hpp"
#include "optim/checks.hpp"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/scion.h"
#include "optim/scion_oracle.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::ScionSignJob) == 128);
constexpr KernelInfo kSign = make_kernel<gpu::ScionSignJob>("scion_sign", spirv::scion_sign);
constexpr KernelInfo kSignStateless =
    make_kernel<gpu::ScionSignJob>("scion_sign_stateless", spirv::scion_sign_stateless);

void add_sign(StepBuilder& step, const StepBuilder::Item& item, const Tensor& momentum,
              const MatrixBlock& block) {
    using Job = gpu::ScionSignJob;
    const double elements = static_cast<double>(block.count());
    const ElementGrid grid = step.elements(block.count());
    Job job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(block.first, block.count(), grid);
    job.factor = static_cast<float>(block.shape_factor);
    std::vector<Operand> operands{{offsetof(Job, hyper), step.hyper(), Access::read}};
    StepBuilder::add_parameter(operands, offsetof(Job, parameter), item, block.first, block.count());
    StepBuilder::add_gradient(operands, offsetof(Job, gradient), item, block.first, block.count());
    if (momentum)
        add_moment(operands, offsetof(Job, momentum), job.momentum, item, momentum, block.first,
                   block.count());
    Operation operation =
        make_operation(momentum ? kSign : kSignStateless, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)},
                           {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item.gradient.dtype)}};
    if (momentum) specialize_moments(operation, momentum.dtype);
    operation.reason = step.variant_reason();
    operation.flops = 6.0 * elements;
    operation.bytes = (StepBuilder::parameter_bytes(item) + StepBuilder::gradient_bytes(item) +
                       (momentum ? 2.0 * static_cast<double>(bytes_of(momentum.dtype)) : 0.0)) *
                      elements;
    step.graph().add(std::move(operation));
}

// Updates the momentum, and returns what is divided by the norms of its lines: rows, columns, or the whole
// block.
Tensor add_lines(StepBuilder& step, const StepBuilder::Item& item, const Momentum& momentum,
                 const MatrixBlock& block, ScionNorm norm, const ScionOptions& options,
                 LineFactors& factors) {
    Graph& graph = step.graph();
    const ScionLines lines = scion_lines(block, norm, options);
    factors.columns = lines.columns;
    factors.cols = block.cols;
    factors.divides = true;
    factors.scale = lines.norm_factor;
    factors.eps = static_cast<double>(options.eps);
    if (norm == ScionNorm::frobenius) {
        factors.cols = block.count();
        factors.factors = graph.temporary(DType::f32, Shape{1});
        return momentum_direction(step, item, momentum, block, 0, "scion", factors.factors);
    }
    const Tensor direction = momentum_direction(step, item, momentum, block, 0, "scion");
    graph.set_stage("scion norms");
    factors.factors = graph.temporary(DType::f32, Shape{lines.columns ? block.cols : block.rows});
    (lines.columns ? column_norms : row_norms)(graph, direction, factors.factors, NormKind::two, true);
    return direction;
}

}  // namespace

ScionOptions ScionOptions::trust_region(ScionNorm norm, float lr, float beta) {
    ScionOptions options;
    check_option("ScionOptions::trust_region", "lr", lr, lr > 0, "above 0");
    check_option("ScionOptions::trust_region", "beta", beta, beta >= 0, "finite and not below 0");
    options.lr = lr;
    options.norm = norm;
    options.norm_scale = ScionScale::unit_ball;
    options.weight_decay = static_cast<float>(static_cast<double>(beta) / static_cast<double>(lr));
    options.polar.coefficients = newton_schulz_coefficients("pe-basic", 10);
    options.polar.norm_factor = 1.01;
    return options;
}

Scion::Scion(const Device& device, const ScionOptions& options)
    : Optimizer(device, "scion"), options_(options) {
    const ScionOptions& o = options;
    check_rate_and_decay("Scion", o.lr, o.weight_decay);
    check_momentum("Scion", o.momentum);
    check_enum("Scion", "norm", o.norm, ScionNorm::frobenius);
    check_enum("Scion", "norm_scale", o.norm_scale, ScionScale::unit_ball);
    check_enum("Scion", "kernel", o.kernel, ScionKernel::authors);
    check_option("Scion", "scale", o.scale, o.scale > 0, "above 0");
    check_option("Scion", "eps", o.eps, o.eps >= 0, "finite and not below 0");
    if (o.transpose && o.norm != ScionNorm::row && o.norm != ScionNorm::column)
        refuse("Scion: transpose is for the norms row and column");
    check_moments("Scion", o.moments);
    check_orthogonalizer("Scion", o.polar);
}

void Scion::check(const Parameter& parameter) const { scion_blocks(parameter, options_); }

std::string Scion::options_text() const {
    const ScionOptions& o = options_;
    return "scion momentum=" + number_text(o.momentum) + " norm=" + std::to_string(static_cast<int>(o.norm)) +
           " norm_scale=" + std::to_string(static_cast<int>(o.norm_scale)) +
           " kernel=" + std::to_string(static_cast<int>(o.kernel)) +
           " transpose=" + std::to_string(o.transpose) + " scale=" + number_text(o.scale) +
           " weight_decay=" + number_text(o.weight_decay) + " eps=" + number_text(o.eps) +
           orthogonalizer_text(o.polar) + moments_text(options_.moments);
}

// gpu::MuonHyper
std::vector<HyperValue> Scion::hyper() const {
    return matrix_hyper(options_.lr, options_.schedule, options_.momentum, MomentumRule::ema,
                        options_.weight_decay);
}

void Scion::build(StepBuilder& step) const {
    for (const StepBuilder::Item& item : step.items()) {
        const ScionNorm norm = scion_norm(*item.parameter, options_);
        Momentum momentum;
        if (options_.momentum > 0) momentum = Momentum(step, item, options_.moments, 0, "scion");
        for (const MatrixBlock& block : scion_blocks(*item.parameter, options_)) {
            if (norm == ScionNorm::sign) {
                step.graph().set_stage("scion sign");
                if (momentum.direction)
                    add_matrix_update(step, item, block,
                                      momentum_direction(step, item, momentum, block, 0, "scion"),
                                      DecayForm::decoupled, {}, gpu::MUON_SIGN);
                else
                    add_sign(step, item, momentum.state, block);
                continue;
            }
            LineFactors lines;
            const Tensor direction =
                norm == ScionNorm::spectral
                    ? momentum_polar(step, item, momentum, block, options_.polar, 0, "scion")
                    : add_lines(step, item, momentum, block, norm, options_, lines);
            step.graph().set_stage("scion update");
            add_matrix_update(step, item, block, direction, DecayForm::decoupled, lines);
        }
    }
}

}  // namespace heron
