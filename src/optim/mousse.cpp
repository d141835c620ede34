// SPDX-License-Identifier: MIT
// Mousse's recipe: factors (curvature/kronecker_factor.hpp), momentum and polar factor, grafting, update.
#include "heron/optim/mousse.hpp"

#include <algorithm>
#include <utility>

#include "curvature/kronecker_factor.hpp"
#include "optim/checks.hpp"
#include "optim/graft.hpp"
#include "optim/matrix_update.hpp"
#include "optim/moments.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/muon.h"
#include "optim/refresh.hpp"
#include "optim/scaled_gradient.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

std::uint32_t flags_of(const MousseOptions& options) { return options.nesterov ? gpu::MUON_NESTEROV : 0; }

void add_statistics(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block,
                    const KroneckerFactor& l, const KroneckerFactor& r, const MousseOptions& options) {
    if (!l && !r) return;
    Graph& graph = step.graph();
    const ScaledGradient gradient = scaled_gradient(step, item, block);
    for (const KroneckerFactor* factor : {&l, &r}) {
        if (!*factor) continue;
        const Tensor statistic = graph.temporary(DType::f32, factor->average.shape);
        syrk(graph, gradient.matrix, {}, statistic,
             {.transpose_a = factor == &l ? Transpose::no : Transpose::yes});
        add_statistic(
            graph, *factor, statistic,
            {.decay = options.factor_decay, .rate = 1.0 - options.factor_decay, .unit = gradient.unit});
    }
}

// Whether the root of 2 eps in a null space is seen: whiteners outlive the step that renews them. (Without
// damping zero has no root.)
bool has_later_roots(const MousseOptions& options) {
    const RefreshPolicy& policy = options.refresh;
    return options.damping > 0 && (policy.interval > 1 || (policy.growth > 0 && policy.doublings > 0));
}

void build_block(StepBuilder& step, const StepBuilder::Item& item, const Momentum& momentum,
                 const MatrixBlock& block, const KroneckerFactor& l, const KroneckerFactor& r,
                 Section refresh, const MousseOptions& options) {
    Graph& graph = step.graph();
    graph.set_stage("mousse statistics");
    add_statistics(step, item, block, l, r, options);
    graph.set_section(refresh);
    graph.set_stage("mousse refresh");
    const DampingScales& scales = item.parameter->damping_scale;
    const auto renew = [&](const KroneckerFactor& factor, float scale) -> LaterRoot {
        if (!factor) return {};
        return renew_power(graph, factor,
                           {.exponent = -options.exponent,
                            .damping = 2 * static_cast<double>(options.damping) * static_cast<double>(scale),
                            .in_place = options.scale_in_place,
                            .exact_later = has_later_roots(options)});
    };
    const LaterRoot later_l = renew(l, scales.outputs), later_r = renew(r, scales.inputs);
    graph.set_section({});

    const Tensor u = momentum_direction(step, item, momentum, block, flags_of(options), "mousse");
    const Tensor x = whiten(graph, l, u, r, WhitenerForm::symmetric);
    graph.set_stage("mousse polar");
    // Not in place: without factors X may be the momentum itself.
    const Tensor o = graph.temporary(DType::f32, x.shape), size = graph.temporary(DType::f32, Shape{1});
    polar(graph, x, o, options.polar);
    if (options.graft) frobenius_norm(graph, o, size);
    graph.set_stage("mousse update");
    const Tensor update = map_back(graph, l, o, r, WhitenerForm::symmetric);
    if (options.graft) graft(step, update, size);
    add_matrix_update(step, item, block, update, options.decay);
    graph.set_section(refresh);
    graph.set_stage("mousse refresh");
    if (later_l) take_over(graph, l, later_l);
    if (later_r) take_over(graph, r, later_r);
    graph.set_section({});
}

}  // namespace

Mousse::Mousse(const Device& device, const MousseOptions& options)
    : Optimizer(device, "mousse"), options_(options) {
    const MousseOptions& o = options;
    check_option("Mousse", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("Mousse", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option("Mousse", "factor_decay", o.factor_decay, o.factor_decay >= 0 && o.factor_decay < 1,
                 "in [0, 1)");
    check_option("Mousse", "exponent", o.exponent, o.exponent > 0 && o.exponent <= 1, "in (0, 1]");
    check_option("Mousse", "damping", o.damping, o.damping >= 0, "finite and not below 0");
    check_option("Mousse", "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_refresh("Mousse", "refresh", o.refresh);
    check_option("Mousse", "max_order", o.max_order, o.max_order >= 1 && o.max_order <= 4096, "1 to 4096");
    check_enum("Mousse", "sides", o.sides, MousseSides::right);
    check_enum("Mousse", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("Mousse", "decay", o.decay, DecayForm::after);
    check_moments("Mousse", o.moments);
    check_orthogonalizer("Mousse", o.polar);
}

void Mousse::check(const Parameter& parameter) const {
    matrix_blocks("Mousse", parameter, options_.shape_factor);
}

std::string Mousse::options_text() const {
    const auto number = [](auto value) { return std::to_string(static_cast<std::uint32_t>(value)); };
    return "mousse momentum=" + number_text(options_.momentum) + " nesterov=" + number(options_.nesterov) +
           " factor_decay=" + number_text(options_.factor_decay) +
           " exponent=" + number_text(options_.exponent) + " damping=" + number_text(options_.damping) +
           " graft=" + number(options_.graft) + " sides=" + number(options_.sides) +
           " scale_in_place=" + number(options_.scale_in_place) + refresh_text("refresh", options_.refresh) +
           " max_order=" + number(options_.max_order) +
           " weight_decay=" + number_text(options_.weight_decay) + " decay=" + number(options_.decay) +
           " shape_factor=" + number(options_.shape_factor) + orthogonalizer_text(options_.polar) +
           moments_text(options_.moments);
}

// gpu::MuonHyper
std::vector<HyperValue> Mousse::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.momentum),
            HyperValue::constant(1.0), HyperValue::constant(options_.weight_decay)};
}

void Mousse::build(StepBuilder& step) const {
    const auto has_factor = [&](std::uint64_t order, MousseSides without) {
        return order <= options_.max_order && options_.sides != without;
    };
    std::vector<double> flops;
    for (const StepBuilder::Item& item : step.items())
        for (const MatrixBlock& block : matrix_blocks("Mousse", *item.parameter, options_.shape_factor))
            flops.push_back((has_factor(block.rows, MousseSides::right) ? eigen_flops(block.rows) : 0.0) +
                            (has_factor(block.cols, MousseSides::left) ? eigen_flops(block.cols) : 0.0));
    RefreshSchedule refreshes(step.graph(), name(), options_.refresh, 1,
                              refresh_turns(options_.refresh, flops));
    for (const StepBuilder::Item& item : step.items()) {
        const Momentum momentum(step, item, options_.moments, flags_of(options_), "mousse");
        const std::vector<MatrixBlock> blocks =
            matrix_blocks("Mousse", *item.parameter, options_.shape_factor);
        const auto factors = [&](const char* name, std::uint64_t MatrixBlock::*side, MousseSides without) {
            std::vector<std::uint64_t> orders;
            for (const MatrixBlock& block : blocks)
                orders.push_back(has_factor(block.*side, without) ? block.*side : 0);
            return make_factors(step.graph(), item.parameter->name + "." + name, orders,
                                {.start = FactorStart::zero, .conditions = options_.diagnostics});
        };
        const std::vector<KroneckerFactor> l = factors("L", &MatrixBlock::rows, MousseSides::right),
                                           r = factors("R", &MatrixBlock::cols, MousseSides::left);
        for (std::size_t i = 0; i < blocks.size(); ++i)
            build_block(step, item, momentum, blocks[i], l[i], r[i], refreshes.next(), options_);
    }
}

}  // namespace heron
