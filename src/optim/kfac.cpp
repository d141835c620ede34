// SPDX-License-Identifier: MIT
// K-FAC's recipe: statistics (layer.hpp), factors (heron/curvature.hpp), clip, update.
#include "heron/optim/kfac.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "linalg/integers.hpp"
#include "optim/checks.hpp"
#include "optim/layer.hpp"
#include "optim/layer_clip.hpp"
#include "optim/refresh.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

// Where in hyper() they stand.
constexpr std::uint64_t kClipLr = 4, kRates = 5, kDamping = 7;

Tensor hyper_part(const StepBuilder& step, std::uint64_t first, std::uint64_t count) {
    Tensor part = step.hyper();
    part.byte_offset += first * sizeof(float);
    part.shape = Shape{count};
    return part;
}

// Without stagger all layers are refreshed in the first step, unless the policy says in which.
RefreshPolicy policy_of(const KfacOptions& options) {
    RefreshPolicy policy = options.refresh;
    policy.first = std::max(policy.first, 1u);
    return policy;
}

// FLOPs of a layer's refresh, about.
double refresh_flops(const LayerShape& shape, const KfacOptions& options) {
    const auto side = [&](std::uint64_t order) {
        const double n = static_cast<double>(order);
        return options.method == KfacMethod::inverse ? 2 * n * n * n : eigen_flops(order);
    };
    return static_cast<double>(shape.groups) * (side(shape.m) + side(shape.order));
}

class LayerRecipe {
public:
    LayerRecipe(StepBuilder& step, const LayerItem& item, const Section& refresh, const KfacOptions& options)
        : step_(step), graph_(step.graph()), item_(item), refresh_(refresh), options_(options) {
        damping_.device_value = hyper_part(step, kDamping, 1);
        damping_.unit = options.damping_unit;
        damping_.split = options.damping_split;
        const DampingScales& scales = item.layer->weight.damping_scale;
        damping_.scales = {scales.inputs, scales.outputs};
        if (options.method == KfacMethod::batch) return;
        const LayerShape& shape = item.shape;
        const std::string& name = item.layer->weight.name;
        factors_ = make_kronecker_factors(graph_, name, shape.m, shape.order, shape.groups);
        if (options.method == KfacMethod::inverse)
            inverse_ = make_kronecker_inverse(graph_, name, factors_, options.diagnostics);
        else
            eigen_ = make_kronecker_eigen(graph_, name, factors_);
        if (options.method == KfacMethod::ekfac) {
            moments_ = step.state(*item.weight, "moments", DType::f32, shape.matrices(shape.m, shape.order));
            graph_.set_phase(Phase::initialize);
            renew_moments(graph_, eigen_, moments_);
            graph_.set_phase(Phase::step);
        }
    }

    LayerDirection build() {
        if (options_.method == KfacMethod::batch) return of_batch();
        graph_.set_section({options_.factor_interval, 0});
        graph_.set_stage("kfac statistics");
        const LayerStatistics statistics = layer_statistics(step_, item_);
        update(FactorSide::inputs, statistics.inputs);
        update(FactorSide::outputs, statistics.output_gradients);

        // Micro-batches have seen the basis of the steps before.
        const bool moments_first = moments_ && step_.options().accumulate;
        if (moments_first) update_moments();
        graph_.set_section(refresh_);
        graph_.set_stage("kfac refresh");
        if (inverse_.inputs) {
            renew_inverse(graph_, factors_, inverse_, damping_);
        } else {
            renew_eigen(graph_, factors_, eigen_, options_.eigenvalue_floor);
            if (moments_) renew_moments(graph_, eigen_, moments_);
            // Nothing is damped before the first refresh.
            if (!options_.damping_at_refresh) graph_.set_section({.start = narrow(refresh_.next_run(0))});
            renew_level(graph_, eigen_, damping_);
        }
        if (moments_ && !moments_first) update_moments();
        graph_.set_section({});

        graph_.set_stage("kfac direction");
        const Tensor gradient = layer_gradient(step_, item_);
        const Tensor direction = graph_.temporary(DType::f32, gradient.shape);
        if (inverse_.inputs)
            apply_inverse(graph_, inverse_, gradient, direction);
        else
            apply_eigen(graph_, eigen_, gradient, direction, moments_);
        return {direction, gradient};
    }

private:
    LayerDirection of_batch() {
        graph_.set_section({});
        graph_.set_stage("kfac direction");
        const Tensor inputs = layer_rows(graph_, item_.inputs, item_.shape);
        const Tensor outputs = layer_rows(graph_, item_.output_gradients, item_.shape, layer_unscale(step_));
        const Tensor gradient = layer_gradient(step_, item_);
        const Tensor direction = graph_.temporary(DType::f32, gradient.shape);
        apply_batch_inverse(graph_, {inputs, static_cast<float>(item_.inputs.scale)},
                            {outputs, static_cast<float>(item_.output_gradients.scale)}, gradient, direction,
                            damping_);
        return {direction, gradient};
    }

    void update(FactorSide side, const LayerStatistic& statistic) {
        update_factor(graph_, factors_, side, statistic.matrix,
                      {.rates = hyper_part(step_, kRates, 2),
                       .warm = options_.warm_factors,
                       .interval = options_.factor_interval,
                       .unit = statistic.unit});
    }

    void update_moments() {
        graph_.set_section({});
        graph_.set_stage("kfac moments");
        const bool accumulates = step_.options().accumulate;
        if (accumulates)
            graph_.set_phase(Phase::accumulate);
        else
            graph_.set_section(moments_section());
        const Tensor inputs = layer_rows(graph_, item_.inputs, item_.shape);
        const Tensor outputs = layer_rows(graph_, item_.output_gradients, item_.shape);
        Tensor statistic = graph_.temporary(DType::f32, moments_.shape);
        moments_statistic(graph_, eigen_, inputs, outputs, statistic,
                          item_.inputs.rows / item_.shape.samples);
        if (accumulates) {
            statistic = layer_mean(step_, item_, "moments_statistic", statistic, true);
            graph_.set_phase(Phase::step);
            graph_.set_section(moments_section());
        }
        // Where samples are of one row each, the mean over them is that of the factors' statistics.
        const double rows = static_cast<double>(item_.inputs.rows);
        heron::update_moments(
            graph_, statistic, moments_,
            {.rates = hyper_part(step_, kRates, 2),
             .scale = static_cast<float>(item_.inputs.scale * rows * item_.output_gradients.scale),
             .unit = accumulates ? Tensor() : layer_unscale(step_)});
    }
    // From the step after the first refresh on.
    Section moments_section() const {
        return {.interval = options_.moments_interval, .start = narrow(refresh_.next_run(0) + 1)};
    }

    StepBuilder& step_;
    Graph& graph_;
    const LayerItem& item_;
    Section refresh_;
    const KfacOptions& options_;
    KroneckerFactors factors_;
    KroneckerInverse inverse_;
    KroneckerEigen eigen_;
    Tensor moments_;
    CurvatureDamping damping_;
};

void check_interval(const char* name, std::uint32_t interval) {
    check_option("Kfac", name, interval, interval >= 1 && interval <= 10000, "1 to 10000");
}

std::string flag(auto value) { return std::to_string(static_cast<std::uint32_t>(value)); }

// The factors of a schedule that a checkpoint's plan has to share; that of the learning rate goes along by
// itself.
std::string pieces_text(const Schedule& schedule) {
    std::string text;
    for (const Schedule::Piece& piece : schedule.pieces())
        text += flag(piece.kind) + "(" + number_text(piece.from) + "," + number_text(piece.to) + "," +
                std::to_string(piece.steps) + ")";
    return text.empty() ? "none" : text;
}

}  // namespace

KfacOptions KfacOptions::kfac_pytorch() {
    KfacOptions options;
    options.step.momentum = 0;
    options.method = KfacMethod::eigen;
    options.damping_split = DampingSplit::full;
    options.damping_at_refresh = true;
    options.refresh.interval = 1;
    options.conv_scaling = ConvScaling::kfac_pytorch;
    return options;
}

KfacOptions KfacOptions::alecwangcq(KfacMethod method) {
    KfacOptions options;
    options.lr = 1e-3f;
    options.method = method;
    options.eigenvalue_floor = 1e-10f;
    options.factor_interval = options.moments_interval = 10;
    options.refresh.interval = 100;
    options.step.decay_from = 20 * options.factor_interval;
    options.conv_scaling = ConvScaling::alecwangcq;
    return options;
}

Kfac::Kfac(const Device& device, const KfacOptions& options)
    : LayerOptimizer(device, "kfac"), options_(options) {
    const KfacOptions& o = options;
    check_option("Kfac", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_momentum_step("Kfac", o.step);
    check_enum("Kfac", "method", o.method, KfacMethod::batch);
    check_option("Kfac", "damping", o.damping, o.damping > 0, "finite and above 0");
    for (const Schedule::Piece& piece : o.damping_schedule.pieces())
        if (!(piece.from > 0 && piece.to > 0))
            refuse("Kfac: damping_schedule has a factor of 0; damping must stay above 0");
    check_enum("Kfac", "damping_unit", o.damping_unit, DampingUnit::mean);
    check_enum("Kfac", "damping_split", o.damping_split, DampingSplit::pi_normalized);
    check_option("Kfac", "eigenvalue_floor", o.eigenvalue_floor, o.eigenvalue_floor >= 0,
                 "finite and not below 0");
    check_option("Kfac", "factor_decay", o.factor_decay, o.factor_decay >= 0 && o.factor_decay < 1,
                 "in [0, 1)");
    for (const Schedule::Piece& piece : o.factor_decay_schedule.pieces()) {
        const double largest = o.factor_decay * static_cast<double>(std::max(piece.from, piece.to));
        check_option("Kfac", "factor_decay times factor_decay_schedule", largest, largest < 1, "in [0, 1)");
    }
    check_interval("factor_interval", o.factor_interval);
    check_interval("moments_interval", o.moments_interval);
    check_refresh("Kfac", "refresh", o.refresh);
    check_option("Kfac", "diagnostics without method inverse", static_cast<int>(o.diagnostics),
                 o.method == KfacMethod::inverse || !o.diagnostics, "off");
    if (o.kl_clip) check_option("Kfac", "kl_clip", *o.kl_clip, *o.kl_clip > 0, "finite and above 0");
    check_option("Kfac", "kl_clip_lr", o.kl_clip_lr, o.kl_clip_lr >= 0, "finite and not below 0");
    check_enum("Kfac", "conv_scaling", o.conv_scaling, ConvScaling::alecwangcq);
}

void Kfac::check_layer(const Layer& layer) const {
    const LayerShape shape = layer_shape(layer);
    const bool eigenvalues = options_.method == KfacMethod::eigen || options_.method == KfacMethod::ekfac;
    const std::uint64_t largest = eigenvalues ? 4096 : 8192;
    std::uint64_t order = std::max(shape.m, shape.order);
    if (options_.method == KfacMethod::batch)
        order =
            std::min(order, shape.samples * (layer.sharing == LayerSharing::reduce ? 1 : shape.positions));
    if (order > largest)
        refuse("Kfac: layer " + in_quotes(layer.weight.name) + " has factors of order " +
               std::to_string(shape.order) + " and " + std::to_string(shape.m) + "; at most " +
               std::to_string(largest) + " can be done, give the layer to another optimizer");
}

std::string Kfac::options_text() const {
    const KfacOptions& o = options_;
    return "kfac" + momentum_step_text(o.step) + " method=" + flag(o.method) +
           " damping=" + number_text(o.damping) + " damping_schedule=" + pieces_text(o.damping_schedule) +
           " damping_unit=" + flag(o.damping_unit) + " damping_split=" + flag(o.damping_split) +
           " damping_at_refresh=" + flag(o.damping_at_refresh) +
           " eigenvalue_floor=" + number_text(o.eigenvalue_floor) +
           " factor_decay=" + number_text(o.factor_decay) +
           " factor_decay_schedule=" + pieces_text(o.factor_decay_schedule) +
           " warm_factors=" + flag(o.warm_factors) + " factor_interval=" + flag(o.factor_interval) +
           " moments_interval=" + flag(o.moments_interval) + refresh_text("refresh", o.refresh) +
           " kl_clip=" + (o.kl_clip ? number_text(*o.kl_clip) : "none") +
           " kl_clip_lr=" + number_text(o.kl_clip_lr) + " conv_scaling=" + flag(o.conv_scaling) +
           layers_text();
}

// gpu::LayerHyper, then kClipLr, kRates, kDamping.
std::vector<HyperValue> Kfac::hyper() const {
    std::vector<HyperValue> values = layer_hyper(options_.lr, options_.schedule, options_.step);
    const float decay = static_cast<float>(options_.factor_decay);
    const bool scheduled = !options_.factor_decay_schedule.pieces().empty();
    values.push_back(HyperValue::constant(options_.kl_clip_lr));
    values.push_back(scheduled ? HyperValue::scheduled(decay, options_.factor_decay_schedule)
                               : HyperValue::constant(options_.factor_decay));
    // Without a schedule it is rounded once, from double.
    values.push_back(scheduled ? HyperValue::complement(decay, options_.factor_decay_schedule)
                               : HyperValue::constant(1.0 - options_.factor_decay));
    values.push_back(HyperValue::damping_of(options_.damping, options_.damping_schedule));
    return values;
}

float adapted_damping(float damping, double change, double predicted, const DampingAdaptation& o) {
    const char* who = "adapted_damping";
    check_option(who, "damping", damping, damping > 0, "finite and above 0");
    check_option(who, "decay", o.decay, o.decay > 0 && o.decay <= 1, "in (0, 1]");
    check_option(who, "interval", o.interval, o.interval >= 1 && o.interval <= 10000, "1 to 10000");
    check_option(who, "lower", o.lower, o.lower <= o.upper, "finite and not above upper");
    check_option(who, "upper", o.upper, true, "finite");
    check_option(who, "least", o.least, o.least > 0, "finite and above 0");
    check_option(who, "largest", o.largest, o.largest >= o.least, "finite and not below least");
    const double factor = std::pow(static_cast<double>(o.decay), o.interval), ratio = change / predicted;
    double adapted = damping;
    if (ratio > static_cast<double>(o.upper))
        adapted *= factor;
    else if (!(ratio >= static_cast<double>(o.lower)))  // nor is it where it is no number
        adapted /= factor;
    return static_cast<float>(
        std::clamp(adapted, static_cast<double>(o.least), static_cast<double>(o.largest)));
}

KfacClip kfac_clip(const Plan& plan, std::string_view optimizer) {
    const std::string name = std::string(optimizer) + ".clip";
    const std::vector<Plan::StateEntry> states = plan.states();
    if (std::none_of(states.begin(), states.end(), [&](const auto& state) { return state.name == name; }))
        throw Error(ErrorCode::invalid_argument, "kfac_clip: the plan has no K-FAC of the name \"" +
                                                     std::string(optimizer) + "\" whose kl_clip is above 0");
    float words[3];
    plan.read_state(name, std::as_writable_bytes(std::span(words)));
    return {words[0], words[1], words[2]};
}

void Kfac::build(StepBuilder& step) const {
    const std::vector<LayerItem> items = layer_items(step, *this, options_.conv_scaling);
    std::vector<LayerDirection> directions;
    std::vector<double> flops;
    for (const LayerItem& item : items)
        if (item.shape.m > 0 && item.shape.order > 0) flops.push_back(refresh_flops(item.shape, options_));
    RefreshSchedule refreshes(step.graph(), name(), policy_of(options_), 1,
                              refresh_turns(policy_of(options_), flops));
    for (const LayerItem& item : items) {
        if (item.shape.m == 0 || item.shape.order == 0) continue;
        directions.push_back(LayerRecipe(step, item, refreshes.next(), options_).build());
    }
    step.graph().set_stage("kfac update");
    const Tensor factor = options_.kl_clip && !directions.empty()
                              ? layer_clip(step, directions, *options_.kl_clip, hyper_part(step, kClipLr, 1),
                                           step.graph().state(name() + ".clip", DType::f32, Shape{3}))
                              : Tensor();
    auto next = directions.begin();
    for (const LayerItem& item : items)
        if (item.shape.m > 0 && item.shape.order > 0)
            add_layer_update(step, item, (next++)->direction, factor, options_.step);
}

}  // namespace heron
