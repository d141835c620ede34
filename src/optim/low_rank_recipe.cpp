// SPDX-License-Identifier: MIT
#include "optim/low_rank_recipe.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "heron/linalg/reduce.hpp"
#include "optim/checks.hpp"
#include "optim/hyper.hpp"
#include "optim/refresh.hpp"

namespace heron {

namespace {

// New bases of a batch, and what its moments make of them.
void add_refresh(StepBuilder& step, const LowRankRecipe& recipe, const Tensor& gradient,
                 const LowRankBasis& basis, LowRankInner& inner, std::size_t batch) {
    if (recipe.moments == GaLoreMoments::keep) {
        add_singular_basis(step, gradient, basis, basis, recipe.iterations);
        return;
    }
    Graph& graph = step.graph();
    const auto like = [&](const Tensor& x) { return x ? graph.temporary(DType::f32, x.shape) : Tensor(); };
    const LowRankBasis next{like(basis.left), like(basis.right)};
    add_singular_basis(step, gradient, basis, next, recipe.iterations);
    inner.rotate(batch, basis, next);
    if (next.left) convert(graph, next.left, basis.left);
    if (next.right) convert(graph, next.right, basis.right);
}

// FLOPs of a parameter's new bases, about.
double refresh_flops(const Parameter& parameter, const LowRankRecipe& recipe) {
    double flops = 0;
    for (const MatrixBatch& batch : low_rank_batches(recipe.name, parameter)) {
        const double k = static_cast<double>(batch.short_side()), l = static_cast<double>(batch.long_side());
        const double rank = std::min(static_cast<double>(recipe.rank), k);
        const double one = recipe.iterations > 0 ? 4 * k * l * rank * static_cast<double>(recipe.iterations)
                                                 : 10 * k * k * (6 * l + 4 * k);
        flops += static_cast<double>(batch.items) * one;
    }
    return flops;
}

void build_parameter(StepBuilder& step, const LowRankRecipe& recipe, const StepBuilder::Item& item,
                     Section refresh) {
    Graph& graph = step.graph();
    const auto stage = [&](const char* name) { graph.set_stage(recipe.name + " " + name); };
    const std::vector<MatrixBatch> batches = low_rank_batches(recipe.name, *item.parameter);
    if (batches.empty()) return;
    const std::vector<LowRankBasis> bases =
        add_low_rank_bases(step, item, batches, recipe.rank, recipe.projection);
    std::vector<Shape> shapes;
    for (std::size_t b = 0; b < batches.size(); ++b) shapes.push_back(low_rank_shape(batches[b], bases[b]));
    LowRankInner inner(step, item, recipe.inner, shapes);
    std::optional<NaturalWindow> window;
    if (recipe.window.history > 0) window.emplace(step, item, recipe.window, shapes);
    std::optional<SubspaceDescent> descent;
    if (recipe.descends)
        descent.emplace(step, item, recipe.descent, low_rank_hyper(recipe.rates, recipe.inner).size(), bases);

    const bool random = recipe.descends && recipe.descent.rule == SubspaceRule::random;
    for (std::size_t b = 0; b < batches.size(); ++b) {
        if (random) descent->draw(item, b);
        stage("gradient");
        const Tensor gradient = add_gradient_copy(step, item, batches[b]);
        if (!random) {
            stage("basis");
            graph.set_section(refresh);
            add_refresh(step, recipe, gradient, bases[b], inner, b);
            graph.set_section({});
        }
        stage("project");
        const Tensor low = graph.temporary(DType::f32, shapes[b]);
        project(graph, gradient, bases[b], low);
        if (bases[b].left && bases[b].right && !random) {
            graph.set_section(refresh);
            add_diagonal(step, low);
            graph.set_section({});
        }
        Tensor transformed = low;
        if (window) {
            stage("window");
            transformed = window->transform(b, low);
        }
        stage("moments");
        const Tensor direction = inner.direction(b, transformed);
        stage("project");
        // The descent needs G beside it.
        const Tensor update = descent && !random ? graph.temporary(DType::f32, batches[b].shape()) : gradient;
        expand(graph, direction, bases[b], update);
        stage("update");
        inner.update(batches[b], update);
        if (descent && !random) {
            stage("descent");
            descent->move(b, gradient, low);
        }
    }
}

}  // namespace

AdafactorOptions low_rank_adafactor(const LowRankRates& rates, const GaLoreOptions& options) {
    return {.lr = rates.lr,
            .form = AdafactorForm::transformers,
            .rate = options.adafactor_rate,
            .scale_parameter = options.scale_parameter,
            .decay = options.adafactor_decay,
            .beta1 = rates.beta1,
            .eps1 = options.adafactor_eps,
            .eps2 = options.adafactor_eps2,
            .clip_threshold = options.clip_threshold,
            .weight_decay = rates.weight_decay,
            .schedule = rates.schedule};
}

void check_low_rank(std::string_view optimizer, const LowRankRecipe& recipe) {
    const LowRankRates& o = recipe.rates;
    check_rate_and_decay(optimizer, o.lr, o.weight_decay);
    check_option(optimizer, "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option(optimizer, "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option(optimizer, "eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_option(optimizer, "scale", recipe.inner.scale, recipe.inner.scale >= 0, "finite and not below 0");
    check_enum(optimizer, "projection", recipe.projection, GaLoreProjection::full);
    check_enum(optimizer, "inner", recipe.inner.inner, GaLoreInner::lion);
    check_refresh(optimizer, "refresh", recipe.refresh);
    check_option(optimizer, "refresh.first", recipe.refresh.first, recipe.refresh.first <= 1, "0 or 1");
    check_option(optimizer, "iterations", recipe.iterations, recipe.iterations <= 64, "0 to 64");
    check_enum(optimizer, "moments", recipe.moments, GaLoreMoments::rotate);
    const bool adafactor = recipe.inner.inner == GaLoreInner::adafactor;
    const bool rotates = recipe.moments == GaLoreMoments::rotate;
    const std::uint32_t bits = recipe.inner.moment_bits;
    check_option(optimizer, "moment_bits", bits, bits == 8 || bits == 16 || bits == 32, "8, 16 or 32");
    if (bits != 32 && (adafactor || rotates))
        refuse(std::string(optimizer) + ": moment_bits is " + std::to_string(bits) +
               ", which is for AdamW and Lion with GaLoreMoments::keep");
    if (adafactor && rotates)
        refuse(std::string(optimizer) +
               ": Adafactor's factored moment cannot be rotated, use GaLoreMoments::keep");
    check_subspace_descent(optimizer, recipe.descent);
}

std::vector<HyperValue> low_rank_hyper(const LowRankRecipe& recipe) {
    std::vector<HyperValue> values = low_rank_hyper(recipe.rates, recipe.inner);
    if (recipe.descends)
        for (const HyperValue& value : subspace_descent_hyper(recipe.descent, recipe.rates.schedule))
            values.push_back(value);
    return values;
}

void build_low_rank(StepBuilder& step, const LowRankRecipe& recipe) {
    std::optional<RefreshSchedule> refreshes;
    if (recipe.rank > 0 && !recipe.descends) {
        std::vector<double> flops;
        for (const StepBuilder::Item& item : step.items())
            if (!is_vector(*item.parameter)) flops.push_back(refresh_flops(*item.parameter, recipe));
        refreshes.emplace(step.graph(), recipe.name, recipe.refresh, 1, refresh_turns(recipe.refresh, flops),
                          FirstRefresh::in_first_step);
    }
    for (const StepBuilder::Item& item : step.items()) {
        if (recipe.rank == 0 || is_vector(*item.parameter)) {
            step.graph().set_stage(recipe.name + " full rank");
            add_full_rank(step, item, recipe.inner);
        } else {
            build_parameter(step, recipe, item, refreshes ? refreshes->next() : kFirstStep);
        }
    }
}

}  // namespace heron
