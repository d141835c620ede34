// SPDX-License-Identifier: MIT
// AuON's recipe: momentum (hybrid: and its polar factor), its norm, the sums of the brake, the factor, the
// update. The kernels are shaders/optim/auon_*.comp.
#include "heron/optim/auon.hpp"

#include <cmath>
#include <cstddef>
#include <utility>

#include "heron/linalg/reduce.hpp"
#include "heron/spirv/auon_brake.hpp"
#include "heron/spirv/auon_factor.hpp"
#include "optim/auon.h"
#include "optim/checks.hpp"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/muon.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::AuonBrakeJob) == 56);
static_assert(sizeof(gpu::AuonFactorJob) == 40);
constexpr KernelInfo kBrake = make_kernel<gpu::AuonBrakeJob>("auon_brake", spirv::auon_brake);
constexpr KernelInfo kFactor = make_kernel<gpu::AuonFactorJob>("auon_factor", spirv::auon_factor);

constexpr std::uint64_t kMaxPartials = 512;
constexpr double kNormEps = 1e-7;        // of the authors' code
constexpr double kNegligible = 0x1p-20;  // relative, of the brake

// Vectors are matrices of one row.
std::vector<MatrixBlock> blocks_of(const Parameter& parameter) {
    const Shape& shape = parameter.weight.shape;
    if (shape.rank() >= 2) return matrix_blocks("Auon", parameter, ShapeFactor::none);
    if (shape.count() == 0) return {};
    return {{0, 1, shape.count(), 1.0}};
}

// Of the direction.
struct Norm {
    Tensor value{};        // one float; empty: it does not count
    bool squared = false;  // it is the square
};

// One float: what the block is multiplied by.
Tensor add_factor(StepBuilder& step, const MatrixBlock& block, const Tensor& direction, const Norm& norm,
                  const AuonOptions& options) {
    Graph& graph = step.graph();
    const double elements = static_cast<double>(block.count());
    const bool paper = options.form == AuonForm::paper;
    const ElementGrid grid = step.elements(block.count(), kMaxPartials);
    const Tensor partials = graph.temporary(DType::f32, Shape{grid.groups});
    const Tensor factor = graph.temporary(DType::f32, Shape{1});

    gpu::AuonBrakeJob brake{};
    brake.range = StepBuilder::range(0, block.count(), grid);
    brake.gamma = options.gamma;
    brake.norm_eps = static_cast<float>(paper ? 0.0 : kNormEps);
    brake.flags = (norm.value ? gpu::AUON_NORMALIZED : 0) | (norm.squared ? gpu::AUON_SQUARED : 0);
    std::vector<Operand> operands{{offsetof(gpu::AuonBrakeJob, partials), partials, Access::write}};
    if (norm.value) operands.push_back({offsetof(gpu::AuonBrakeJob, norm), norm.value, Access::read});
    brake.range.first = add_direction(operands, offsetof(gpu::AuonBrakeJob, direction), direction);
    Operation sums = make_operation(kBrake, brake, std::move(operands), grid.groups);
    sums.constants = {{gpu::SPEC_THREADS, grid.threads},
                      step.variant(),
                      {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(direction.dtype)}};
    sums.reason = step.variant_reason();
    sums.flops = 18.0 * elements;
    sums.bytes = static_cast<double>(bytes_of(direction.dtype)) * elements;
    graph.add(std::move(sums));

    gpu::AuonFactorJob job{};
    job.partial_count = static_cast<std::uint32_t>(grid.groups);
    job.mean = static_cast<float>(1.0 / elements);
    job.flags = paper && norm.value ? gpu::AUON_UNIT : 0;
    std::vector<Operand> of_factor{{offsetof(gpu::AuonFactorJob, partials), partials, Access::read},
                                   {offsetof(gpu::AuonFactorJob, factor), factor, Access::write}};
    if (norm.value) of_factor.push_back({offsetof(gpu::AuonFactorJob, norm), norm.value, Access::read});
    Operation last = make_operation(kFactor, job, std::move(of_factor), 1);
    last.constants = {{gpu::SPEC_THREADS,
                       threads_of(step.device().capabilities(), step.device().capabilities().cpu ? 8 : 128)}};
    last.reason = "of at most 512 partial sums";
    last.flops = static_cast<double>(grid.groups);
    last.bytes = 4.0 * static_cast<double>(grid.groups);
    graph.add(std::move(last));
    return factor;
}

}  // namespace

AuonOptions AuonOptions::hybrid_code() {
    AuonOptions options;
    options.hybrid = true;
    return options;
}

AuonOptions AuonOptions::paper() {
    AuonOptions options;
    options.gamma = 1.0f;
    options.form = AuonForm::paper;
    return options;
}

AuonOptions AuonOptions::hybrid_paper() {
    AuonOptions options = paper();
    options.hybrid = true;
    options.polar.coefficients = newton_schulz_coefficients("muon", 1);
    return options;
}

Auon::Auon(const Device& device, const AuonOptions& options) : Optimizer(device, "auon"), options_(options) {
    const AuonOptions& o = options;
    check_rate_and_decay("Auon", o.lr, o.weight_decay);
    check_momentum("Auon", o.momentum);
    check_option("Auon", "gamma", o.gamma, o.gamma >= 0 && o.gamma <= 40, "in [0, 40]");
    check_enum("Auon", "form", o.form, AuonForm::paper);
    check_enum("Auon", "decay", o.decay, DecayForm::after);
    check_moments("Auon", o.moments);
    check_orthogonalizer("Auon", o.polar);
}

void Auon::check(const Parameter& parameter) const { blocks_of(parameter); }

std::string Auon::options_text() const {
    const AuonOptions& o = options_;
    return "auon momentum=" + number_text(o.momentum) + " nesterov=" + std::to_string(o.nesterov) +
           " weight_decay=" + number_text(o.weight_decay) + " gamma=" + number_text(o.gamma) +
           " form=" + std::to_string(static_cast<int>(o.form)) + " hybrid=" + std::to_string(o.hybrid) +
           " decay=" + std::to_string(static_cast<int>(o.decay)) + orthogonalizer_text(o.polar) +
           moments_text(options_.moments);
}

// gpu::MuonHyper
std::vector<HyperValue> Auon::hyper() const {
    return matrix_hyper(options_.lr, options_.schedule, options_.momentum, MomentumRule::ema,
                        options_.weight_decay);
}

void Auon::build(StepBuilder& step) const {
    const std::uint32_t flags = options_.nesterov ? gpu::MUON_NESTEROV : 0;
    const double gamma = static_cast<double>(options_.gamma);
    for (const StepBuilder::Item& item : step.items()) {
        const Momentum momentum(step, item, options_.moments, flags, "auon");
        const bool orthogonalizes = options_.hybrid && item.weight.shape.rank() >= 2;
        for (MatrixBlock block : blocks_of(*item.parameter)) {
            const double elements = static_cast<double>(block.count());
            const double range = (std::pow(std::sinh(gamma), 2) - gamma * gamma) / (2 * elements);
            const bool code = options_.form == AuonForm::code, constant = code && range <= kNegligible;
            // The paper's hybrid takes Newton-Schulz's result as it is.
            Norm norm{.squared = orthogonalizes};
            if (!constant && (code || !options_.hybrid))
                norm.value = step.graph().temporary(DType::f32, Shape{1});
            Tensor row_squares;
            if (orthogonalizes && norm.value)
                row_squares = step.graph().temporary(DType::f32, Shape{block.rows});
            const Tensor direction =
                orthogonalizes
                    ? momentum_polar(step, item, momentum, block, options_.polar, flags, "auon", row_squares)
                    : momentum_direction(step, item, momentum, block, flags, "auon", norm.value);
            LineFactors whole;
            if (constant) {
                block.shape_factor = 1 / std::sqrt(1 + gamma * gamma / elements);
            } else {
                step.graph().set_stage("auon brake");
                if (row_squares) sum(step.graph(), row_squares, norm.value);
                whole.factors = add_factor(step, block, direction, norm, options_);
                whole.cols = block.count();
            }
            step.graph().set_stage("auon update");
            add_matrix_update(step, item, block, direction, options_.decay, whole);
        }
    }
}

}  // namespace heron
