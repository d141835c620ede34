// SPDX-License-Identifier: MIT
// GaLore's recipe, per batch of equal matrices of each parameter:
//
//   copy of G  |  refresh: svd of G, signs  |  project  |  moments and direction  |  back  |  update
//
// and with bases on both sides, in a refresh, after the projection: what is not on its diagonal becomes zero.
#include "heron/optim/galore.hpp"

#include "heron/linalg/reduce.hpp"
#include "optim/checks.hpp"
#include "optim/hyper.hpp"
#include "optim/low_rank.hpp"
#include "optim/refresh.hpp"

namespace heron {

namespace {

LowRankInnerOptions inner_options(const GaLoreOptions& o) {
    return {.inner = o.inner,
            .adafactor = {.lr = o.lr,
                          .form = AdafactorForm::transformers,
                          .rate = AdafactorRate::constant,
                          .scale_parameter = false,
                          .decay = o.adafactor_decay,
                          .beta1 = o.beta1,
                          .eps1 = o.adafactor_eps,
                          .clip_threshold = o.clip_threshold,
                          .weight_decay = o.weight_decay,
                          .schedule = o.schedule},
            .scale = o.scale};
}

// New bases of a batch, and what its moments make of them.
void add_refresh(StepBuilder& step, const GaLoreOptions& options, const Tensor& gradient,
                 const LowRankBasis& basis, LowRankInner& inner, std::size_t batch) {
    if (options.moments == GaLoreMoments::keep) {
        add_singular_basis(step, gradient, basis, basis, options.iterations);
        return;
    }
    Graph& graph = step.graph();
    const auto like = [&](const Tensor& x) { return x ? graph.temporary(DType::f32, x.shape) : Tensor(); };
    const LowRankBasis next{like(basis.left), like(basis.right)};
    add_singular_basis(step, gradient, basis, next, options.iterations);
    inner.rotate(batch, basis, next);
    if (next.left) convert(graph, next.left, basis.left);
    if (next.right) convert(graph, next.right, basis.right);
}

}  // namespace

GaLore::GaLore(const Device& device, const GaLoreOptions& options)
    : Optimizer(device, "galore"), options_(options) {
    const GaLoreOptions& o = options;
    check_rate_and_decay("GaLore", o.lr, o.weight_decay);
    check_option("GaLore", "beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option("GaLore", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option("GaLore", "eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_option("GaLore", "scale", o.scale, o.scale >= 0, "finite and not below 0");
    check_enum("GaLore", "projection", o.projection, GaLoreProjection::full);
    check_refresh("GaLore", "refresh", o.refresh);
    check_option("GaLore", "refresh.first", o.refresh.first, o.refresh.first <= 1, "0 or 1");
    check_option("GaLore", "iterations", o.iterations, o.iterations <= 64, "0 to 64");
    check_enum("GaLore", "moments", o.moments, GaLoreMoments::rotate);
    check_enum("GaLore", "inner", o.inner, GaLoreInner::lion);
    check_option("GaLore", "adafactor_decay", o.adafactor_decay, o.adafactor_decay < 0, "finite and below 0");
    check_option("GaLore", "adafactor_eps", o.adafactor_eps, o.adafactor_eps >= 0, "finite and not below 0");
    check_option("GaLore", "clip_threshold", o.clip_threshold, o.clip_threshold > 0, "finite and above 0");
    if (o.inner == GaLoreInner::adafactor && o.moments == GaLoreMoments::rotate)
        refuse("GaLore: Adafactor's factored moment cannot be rotated, use GaLoreMoments::keep");
}

void GaLore::check(const Parameter& parameter) const {
    if (options_.rank > 0 && !is_vector(parameter)) low_rank_batches("GaLore", parameter);
}

std::string GaLore::options_text() const {
    return "galore rank=" + std::to_string(options_.rank) + " beta1=" + number_text(options_.beta1) +
           " beta2=" + number_text(options_.beta2) + " eps=" + number_text(options_.eps) +
           " weight_decay=" + number_text(options_.weight_decay) +
           " bias_correction=" + std::to_string(options_.bias_correction) +
           " scale=" + number_text(options_.scale) +
           " projection=" + std::to_string(static_cast<int>(options_.projection)) +
           refresh_text("refresh", options_.refresh) + " iterations=" + std::to_string(options_.iterations) +
           " moments=" + std::to_string(static_cast<int>(options_.moments)) +
           " inner=" + std::to_string(static_cast<int>(options_.inner)) +
           " adafactor_decay=" + number_text(options_.adafactor_decay) +
           " adafactor_eps=" + number_text(options_.adafactor_eps) +
           " clip_threshold=" + number_text(options_.clip_threshold);
}

std::vector<HyperValue> GaLore::hyper() const {
    const GaLoreOptions& o = options_;
    return low_rank_hyper({o.lr, o.beta1, o.beta2, o.eps, o.weight_decay, o.bias_correction, o.schedule},
                          inner_options(o));
}

void GaLore::build(StepBuilder& step) const {
    Graph& graph = step.graph();
    const LowRankInnerOptions options = inner_options(options_);
    RefreshPolicy policy = options_.refresh;
    policy.first = 1;
    std::uint32_t turn = 0;
    for (const StepBuilder::Item& item : step.items()) {
        if (options_.rank == 0 || is_vector(*item.parameter)) {
            graph.set_stage("galore full rank");
            add_full_rank(step, item, options);
            continue;
        }
        const std::vector<MatrixBatch> batches = low_rank_batches("GaLore", *item.parameter);
        if (batches.empty()) continue;
        const std::vector<LowRankBasis> bases =
            add_low_rank_bases(step, item, batches, options_.rank, options_.projection);
        std::vector<Shape> shapes;
        for (std::size_t b = 0; b < batches.size(); ++b)
            shapes.push_back(low_rank_shape(batches[b], bases[b]));
        LowRankInner inner(step, item, options, shapes);
        const Section refresh = refresh_section(policy, turn++, 1);
        for (std::size_t b = 0; b < batches.size(); ++b) {
            graph.set_stage("galore gradient");
            const Tensor gradient = add_gradient_copy(step, item, batches[b]);
            graph.set_stage("galore basis");
            graph.set_section(refresh);
            add_refresh(step, options_, gradient, bases[b], inner, b);
            graph.set_section({});
            graph.set_stage("galore project");
            const Tensor low = graph.temporary(DType::f32, shapes[b]);
            project(graph, gradient, bases[b], low);
            if (bases[b].left && bases[b].right) {
                graph.set_section(refresh);
                add_diagonal(step, low);
                graph.set_section({});
            }
            graph.set_stage("galore moments");
            const Tensor direction = inner.direction(b, low);
            graph.set_stage("galore project");
            expand(graph, direction, bases[b], gradient);
            graph.set_stage("galore update");
            inner.update(batches[b], gradient);
        }
    }
}

}  // namespace heron
