// SPDX-License-Identifier: MIT
// FISMO's recipe: factors (curvature/kronecker_factor.hpp), momentum, polar factor, update
// (matrix_update.hpp).
#include "heron/optim/fismo.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "curvature/kronecker_factor.hpp"
#include "heron/spirv/fismo_momentum.hpp"
#include "optim/checks.hpp"
#include "optim/fismo.h"
#include "optim/graft.hpp"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/refresh.hpp"
#include "optim/scaled_gradient.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::FismoMomentumJob) == 80);
constexpr KernelInfo kMomentum = make_kernel<gpu::FismoMomentumJob>("fismo_momentum", spirv::fismo_momentum);

WhitenerForm form_of(Whitening whitening) {
    return whitening == Whitening::cholesky ? WhitenerForm::cholesky : WhitenerForm::symmetric;
}

std::uint32_t flags_of(const FismoOptions& options) { return options.nesterov ? gpu::MUON_NESTEROV : 0; }

// FLOPs of a block's refresh, about.
double refresh_flops(const MatrixBlock& block, const FismoOptions& options) {
    const auto side = [&](std::uint64_t order, std::uint64_t other) {
        if (order > options.max_order) return 0.0;
        const double n = static_cast<double>(order);
        const double root = options.whitening == Whitening::cholesky ? 1.0 : 30.0;
        return n * n * (2 * static_cast<double>(other) + root * n);
    };
    return side(block.rows, block.cols) + side(block.cols, block.rows);
}

// One matrix of a parameter with its factors.
class BlockRecipe {
public:
    BlockRecipe(StepBuilder& step, const StepBuilder::Item& item, const Momentum& momentum,
                const MatrixBlock& block, const KroneckerFactor& p, const KroneckerFactor& q, Section refresh,
                const FismoOptions& options)
        : step_(step),
          graph_(step.graph()),
          item_(item),
          momentum_(momentum),
          block_(block),
          p_(p),
          q_(q),
          refresh_(refresh),
          options_(options),
          form_(form_of(options.whitening)),
          flags_(flags_of(options)) {}

    void build() {
        const bool whitened = options_.momentum_space == MomentumSpace::whitened;
        const Tensor direction = whitened ? from_whitened_space() : from_gradient_space();
        graph_.set_stage("fismo polar");
        // Not in place: without factors the direction may be the momentum itself.
        const Tensor polar_factor = graph_.temporary(DType::f32, direction.shape),
                     size = graph_.temporary(DType::f32, Shape{1});
        if (options_.exact_polar)
            polar_by_svd(graph_, direction, polar_factor);
        else
            polar(graph_, direction, polar_factor, options_.polar);
        if (options_.graft) frobenius_norm(graph_, polar_factor, size);
        graph_.set_stage("fismo update");
        const Tensor update = map_back(graph_, p_, polar_factor, q_, form_);
        if (options_.graft) graft(step_, update, size);
        add_matrix_update(step_, item_, block_, update, options_.decay);
    }

private:
    // S_P^T U S_Q of U, the momentum's direction.
    Tensor from_gradient_space() {
        if (p_ || q_) {
            graph_.set_section(refresh_);
            graph_.set_stage("fismo refresh");
            const ScaledGradient gradient = scaled_gradient(step_, item_, block_);
            refresh_rows(gradient);
            if (q_) refresh_columns(whiten(graph_, p_, gradient.matrix, {}, form_), gradient.unit);
            graph_.set_section({});
        }
        const Tensor u = momentum_direction(step_, item_, momentum_, block_, flags_, "fismo");
        return whiten(graph_, p_, u, q_, form_);
    }

    // U of the momentum of S_P^T G S_Q.
    Tensor from_whitened_space() {
        graph_.set_stage("fismo refresh");
        const ScaledGradient gradient = scaled_gradient(step_, item_, block_);
        graph_.set_section(refresh_);
        refresh_rows(gradient);
        graph_.set_section({});
        graph_.set_stage("fismo momentum");
        const Tensor rows = whiten(graph_, p_, gradient.matrix, {}, form_);
        graph_.set_section(refresh_);
        graph_.set_stage("fismo refresh");
        if (q_) refresh_columns(rows, gradient.unit);
        graph_.set_section({});
        graph_.set_stage("fismo momentum");
        return add_momentum(whiten(graph_, {}, rows, q_, form_), gradient.unit);
    }

    void refresh_rows(const ScaledGradient& gradient) {
        if (!p_) return;
        refresh(p_, row_statistic(graph_, gradient.matrix, q_, 1.0f / static_cast<float>(block_.cols), form_),
                gradient.unit, item_.parameter->damping_scale.outputs);
    }

    // `rows`: the scaled gradient, its rows whitened by the new P.
    void refresh_columns(const Tensor& rows, const Tensor& unit) {
        const Tensor statistic = graph_.temporary(DType::f32, Shape{block_.cols, block_.cols});
        syrk(graph_, rows, {}, statistic,
             {.transpose_a = Transpose::yes, .alpha = 1.0f / static_cast<float>(block_.rows)});
        refresh(q_, statistic, unit, item_.parameter->damping_scale.inputs);
    }

    void refresh(const KroneckerFactor& factor, const Tensor& statistic, const Tensor& unit,
                 float damping_scale) {
        const FactorAverage average{.decay = options_.factor_decay,
                                    .damping = static_cast<double>(options_.damping * damping_scale),
                                    .unit_trace = options_.statistic_scale == StatisticScale::unit_trace,
                                    .unit = unit};
        renew_factor(graph_, factor, average_factor(graph_, factor, statistic, average), form_,
                     options_.exponent);
    }

    Tensor add_momentum(const Tensor& whitened, const Tensor& unit) {
        using Job = gpu::FismoMomentumJob;
        const Tensor u = graph_.temporary(DType::f32, whitened.shape);
        const ElementGrid grid = step_.elements(block_.count());
        Job job{};
        job.range = StepBuilder::range(block_.first, block_.count(), grid);
        job.flags = flags_;
        std::vector<Operand> operands{{offsetof(Job, whitened), whitened, Access::read},
                                      {offsetof(Job, unit), unit, Access::read},
                                      {offsetof(Job, update), u, Access::write},
                                      {offsetof(Job, hyper), step_.hyper(), Access::read}};
        add_moment(operands, offsetof(Job, momentum), job.momentum, item_, momentum_.state, block_.first,
                   block_.count());
        Operation operation = make_operation(kMomentum, job, std::move(operands), grid.groups);
        operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step_.variant()};
        specialize_moments(operation, momentum_.state.dtype);
        operation.reason = step_.variant_reason();
        operation.flops = 6.0 * static_cast<double>(block_.count());
        operation.bytes = (8.0 + 2.0 * static_cast<double>(bytes_of(momentum_.state.dtype))) *
                          static_cast<double>(block_.count());
        graph_.add(std::move(operation));
        return u;
    }

    StepBuilder& step_;
    Graph& graph_;
    const StepBuilder::Item& item_;
    Momentum momentum_;
    MatrixBlock block_;
    KroneckerFactor p_, q_;
    Section refresh_;
    const FismoOptions& options_;
    WhitenerForm form_;
    std::uint32_t flags_;
};

}  // namespace

FismoOptions FismoOptions::paper() {
    FismoOptions options;
    options.statistic_scale = StatisticScale::paper;
    options.whitening = Whitening::symmetric;
    options.momentum_space = MomentumSpace::whitened;
    options.refresh.interval = 1;
    options.shape_factor = ShapeFactor::none;
    return options;
}

Fismo::Fismo(const Device& device, const FismoOptions& options)
    : Optimizer(device, "fismo"), options_(options) {
    const FismoOptions& o = options;
    check_option("Fismo", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("Fismo", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option("Fismo", "factor_decay", o.factor_decay, o.factor_decay >= 0 && o.factor_decay < 1,
                 "in [0, 1)");
    check_option("Fismo", "damping", o.damping, o.damping >= 0, "finite and not below 0");
    check_option("Fismo", "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_enum("Fismo", "statistic_scale", o.statistic_scale, StatisticScale::paper);
    check_enum("Fismo", "whitening", o.whitening, Whitening::cholesky);
    check_option("Fismo", "exponent", o.exponent, o.exponent > 0 && o.exponent <= 1, "in (0, 1]");
    if (o.exponent != 0.5 && o.whitening == Whitening::cholesky)
        refuse("Fismo: an exponent of " + number_text(o.exponent) + " needs symmetric whitening");
    check_enum("Fismo", "momentum_space", o.momentum_space, MomentumSpace::gradient);
    check_refresh("Fismo", "refresh", o.refresh);
    const std::uint32_t largest = o.whitening == Whitening::symmetric ? 4096 : 8192;
    check_option("Fismo", "max_order", o.max_order, o.max_order >= 1 && o.max_order <= largest,
                 "1 to 8192, with symmetric whitening to 4096");
    check_enum("Fismo", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("Fismo", "decay", o.decay, DecayForm::after);
    check_moments("Fismo", o.moments,
                  o.momentum_space == MomentumSpace::gradient ? MomentFormat::block8 : MomentFormat::bf16);
    check_orthogonalizer("Fismo", o.polar);
    if (o.exact_polar && orthogonalizer_text(o.polar) != orthogonalizer_text({}))
        refuse("Fismo: polar has options of its own beside exact_polar, which takes its place");
}

void Fismo::check(const Parameter& parameter) const {
    matrix_blocks("Fismo", parameter, options_.shape_factor);
}

std::string Fismo::options_text() const {
    const auto number = [](auto value) { return std::to_string(static_cast<std::uint32_t>(value)); };
    return "fismo momentum=" + number_text(options_.momentum) + " nesterov=" + number(options_.nesterov) +
           " factor_decay=" + number_text(options_.factor_decay) +
           " damping=" + number_text(options_.damping) +
           " statistic_scale=" + number(options_.statistic_scale) +
           " whitening=" + number(options_.whitening) + " exponent=" + number_text(options_.exponent) +
           " graft=" + number(options_.graft) + " momentum_space=" + number(options_.momentum_space) +
           refresh_text("refresh", options_.refresh) + " max_order=" + number(options_.max_order) +
           " weight_decay=" + number_text(options_.weight_decay) + " decay=" + number(options_.decay) +
           " shape_factor=" + number(options_.shape_factor) + " exact_polar=" + number(options_.exact_polar) +
           orthogonalizer_text(options_.polar) + moments_text(options_.moments);
}

// gpu::MuonHyper
std::vector<HyperValue> Fismo::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.momentum),
            HyperValue::constant(1.0 - options_.momentum), HyperValue::constant(options_.weight_decay)};
}

void Fismo::build(StepBuilder& step) const {
    std::vector<double> flops;
    for (const StepBuilder::Item& item : step.items())
        for (const MatrixBlock& block : matrix_blocks("Fismo", *item.parameter, options_.shape_factor))
            flops.push_back(refresh_flops(block, options_));
    RefreshSchedule refreshes(step.graph(), name(), options_.refresh, 1,
                              refresh_turns(options_.refresh, flops));
    for (const StepBuilder::Item& item : step.items()) {
        const Momentum momentum(step, item, options_.moments, flags_of(options_), "fismo");
        const std::vector<MatrixBlock> blocks =
            matrix_blocks("Fismo", *item.parameter, options_.shape_factor);
        const auto factors = [&](const char* name, std::uint64_t MatrixBlock::*side) {
            std::vector<std::uint64_t> orders;
            for (const MatrixBlock& block : blocks)
                orders.push_back(block.*side <= options_.max_order ? block.*side : 0);
            const bool iterates = options_.whitening == Whitening::symmetric && options_.exponent == 0.5;
            return make_factors(
                step.graph(), item.parameter->name + "." + name, orders,
                {.conditions = options_.diagnostics, .iterations = options_.diagnostics && iterates});
        };
        const std::vector<KroneckerFactor> p = factors("P", &MatrixBlock::rows),
                                           q = factors("Q", &MatrixBlock::cols);
        for (std::size_t i = 0; i < blocks.size(); ++i)
            BlockRecipe(step, item, momentum, blocks[i], p[i], q[i], refreshes.next(), options_).build();
    }
}

}  // namespace heron
