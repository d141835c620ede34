// SPDX-License-Identifier: MIT
// KronTorch's recipe: momentum, balance and fit (in their gates), preconditioning, clipping and update.
#include "heron/optim/kron_torch.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "heron/linalg/reduce.hpp"
#include "optim/checks.hpp"
#include "optim/moments.hpp"
#include "optim/psgd_factors.hpp"
#include "optim/psgd_step.hpp"
#include "optim/refresh.hpp"

namespace heron {

namespace {

constexpr double kClipEps = 1e-12;
const float kNoise = 3.4526698e-4f;  // sqrt(2^-23)

std::vector<std::uint64_t> axes_of(const Shape& shape, bool merges) {
    std::vector<std::uint64_t> extents(shape.begin(), shape.end());
    if (extents.empty()) return {1};
    if (!merges || extents.size() <= 2) return extents;
    const std::uint64_t count = shape.count(), first = extents.front(), last = extents.back();
    // The signed difference of columns and rows, as kron_torch compares it.
    const auto gap = [](std::uint64_t rows, std::uint64_t cols) {
        return static_cast<double>(cols) - static_cast<double>(rows);
    };
    if (gap(count / last, last) <= gap(first, count / first)) return {count / last, last};
    return {first, count / first};
}

std::vector<bool> dense_axes(const std::vector<std::uint64_t>& extents, const KronTorchOptions& options) {
    std::vector<bool> dense;
    for (const std::uint64_t d : extents)
        dense.push_back(d > 1 && d <= options.max_order && extents.size() >= options.min_axes &&
                        options.memory != KronMemory::all_diagonal);
    std::size_t longest = 0;
    for (std::size_t a = 1; a < extents.size(); ++a)
        if (extents[a] >= extents[longest]) longest = a;
    const auto equal = std::count(extents.begin(), extents.end(), extents[longest]);
    if (options.memory == KronMemory::one_diagonal ||
        (options.memory == KronMemory::smart_diagonal && extents.size() > 1 && equal == 1))
        dense[longest] = false;
    return dense;
}

}  // namespace

KronTorch::KronTorch(const Device& device, const KronTorchOptions& options)
    : Optimizer(device, "kron_torch"), options_(options) {
    const KronTorchOptions& o = options;
    check_option("KronTorch", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("KronTorch", "momentum", o.momentum, o.momentum >= 0 && o.momentum < 1, "in [0, 1)");
    check_option("KronTorch", "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_option("KronTorch", "preconditioner_lr", o.preconditioner_lr,
                 o.preconditioner_lr > 0 && o.preconditioner_lr <= 1, "in (0, 1]");
    check_option("KronTorch", "initial_scale", o.initial_scale, o.initial_scale > 0, "finite and above 0");
    check_option("KronTorch", "max_order", o.max_order, o.max_order >= 1 && o.max_order <= 8192, "1 to 8192");
    check_option("KronTorch", "min_axes", o.min_axes, o.min_axes >= 1 && o.min_axes <= Shape::kMaxRank,
                 "1 to 8");
    check_enum("KronTorch", "memory", o.memory, KronMemory::all_diagonal);
    check_option("KronTorch", "update_probability", o.update_probability,
                 o.update_probability > 0 && o.update_probability <= 1, "in (0, 1]");
    check_refresh("KronTorch", "refresh", o.refresh);
    // Counting and turns would meet in some steps only, and for some tensors in none.
    const std::uint64_t longest = refresh_section(o.refresh, 0, 0).interval_at(0xffffffffu);
    check_option("KronTorch", "the longest refresh.interval with counted fits", longest,
                 longest == 1 || (o.update_probability == 1.0f && o.update_schedule.pieces().empty()),
                 "1 (or update_probability 1 and update_schedule {})");
    check_option("KronTorch", "balance_probability", o.balance_probability,
                 o.balance_probability >= 0 && o.balance_probability <= 1, "in [0, 1]");
    check_option("KronTorch", "clip_rms", o.clip_rms, o.clip_rms >= 0, "finite and not below 0");
    check_moments("KronTorch", o.moments, MomentFormat::bf16);
}

void KronTorch::add(Parameter parameter, const TensorView& draws) {
    check_psgd_draws(device(), "KronTorch: parameter " + in_quotes(parameter.name), draws,
                     parameter.weight.shape.count());
    const std::string name = parameter.name;
    Optimizer::add(std::move(parameter));
    draws_[name] = draws;
}

std::string KronTorch::options_text() const {
    const KronTorchOptions& o = options_;
    const auto number = [](auto value) { return std::to_string(static_cast<std::uint32_t>(value)); };
    return "kron_torch momentum=" + number_text(o.momentum) + " weight_decay=" + number_text(o.weight_decay) +
           " preconditioner_lr=" + number_text(o.preconditioner_lr) +
           " initial_scale=" + number_text(o.initial_scale) + " max_order=" + number(o.max_order) +
           " min_axes=" + number(o.min_axes) + " memory=" + number(o.memory) +
           " momentum_into_fit=" + number(o.momentum_into_fit) + " merge_axes=" + number(o.merge_axes) +
           " update_probability=" + number_text(o.update_probability) +
           changed_refresh_text("refresh", o.refresh) +
           " balance_probability=" + number_text(o.balance_probability) +
           " clip_rms=" + number_text(o.clip_rms) + moments_text(o.moments);
}

// gpu::PsgdHyper and the gates
std::vector<HyperValue> KronTorch::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule),
            HyperValue::constant(options_.weight_decay),
            HyperValue::constant(options_.momentum),
            HyperValue::constant(1.0 - options_.momentum),
            HyperValue::inverse_correction(options_.momentum),
            HyperValue::counted(options_.update_probability, options_.update_schedule),
            HyperValue::chance(name(), options_.balance_probability, options_.balance_schedule)};
}

void KronTorch::build(StepBuilder& step) const {
    Graph& graph = step.graph();
    const PsgdFitRules rules{PsgdGeometry::eq, options_.preconditioner_lr, 0, 0};
    const std::uint32_t fit_gate =
        psgd_section(step, kPsgdFitGate, options_.update_probability, options_.update_schedule).gate;
    const Section balance =
        psgd_section(step, kPsgdBalanceGate, options_.balance_probability, options_.balance_schedule);
    const std::vector<std::uint32_t> streams = psgd_streams(name(), step.items());
    std::vector<std::vector<PsgdFactor>> all_factors;  // of the parameters that have elements
    std::vector<double> flops;
    for (const StepBuilder::Item& item : step.items()) {
        if (item.weight.shape.count() == 0) continue;
        const std::vector<std::uint64_t> extents = axes_of(item.weight.shape, options_.merge_axes);
        all_factors.push_back(make_psgd_factors(step, item, extents, dense_axes(extents, options_), false));
        flops.push_back(psgd_fit_flops(all_factors.back(), rules));
    }
    RefreshSchedule refreshes(graph, name(), options_.refresh, 1, refresh_turns(options_.refresh, flops));
    std::size_t part = 0;
    for (std::size_t i = 0; i < step.items().size(); ++i) {
        const StepBuilder::Item& item = step.items()[i];
        const Shape& shape = item.weight.shape;
        const std::uint64_t count = shape.count();
        if (count == 0) continue;
        const std::vector<PsgdFactor>& factors = all_factors[part++];
        graph.set_phase(Phase::initialize);
        graph.set_stage("kron start");
        start_psgd_factors(graph, factors,
                           static_cast<float>(std::pow(static_cast<double>(options_.initial_scale),
                                                       1.0 / static_cast<double>(factors.size()))));
        graph.set_phase(Phase::step);

        graph.set_stage("kron momentum");
        const PsgdMoment moment = add_psgd_moment(step, item,
                                                  {.momentum = options_.momentum,
                                                   .moments = options_.moments,
                                                   .correct = true,
                                                   .sums = true,
                                                   .of_gradient = !options_.momentum_into_fit});
        graph.set_stage("kron fit");
        if (options_.balance_probability > 0) {
            graph.set_section(balance);
            balance_psgd_factors(graph, factors);
        }
        graph.set_section(refreshes.next(fit_gate));
        const auto given = draws_.find(item.parameter->name);
        const Tensor v = given == draws_.end()
                             ? add_psgd_draws(step, item, count, streams[i])
                             : graph.external(item.parameter->name + ".draws", given->second);
        PsgdNoise noise{.z = v, .partials = moment.partials, .scale = kNoise};
        if (options_.momentum_into_fit) {
            noise.y = moment.x;
            noise.in_place = true;
        }
        const Tensor h = add_psgd_noise(step, item, noise);
        fit_psgd_factors(graph, factors, h, v, {}, rules);
        graph.set_section({});

        graph.set_stage("kron precondition");
        const Tensor direction = psgd_precondition(graph, factors, moment.x, rules);
        const Tensor norm = graph.temporary(DType::f32, Shape{1});
        frobenius_norm(graph, direction, norm);
        graph.set_stage("kron update");
        const double root = std::sqrt(static_cast<double>(count));
        add_psgd_update(step, item,
                        {.direction = direction,
                         .norms = norm,
                         .limit = static_cast<double>(options_.clip_rms) * root,
                         .eps = kClipEps * root,
                         .decays = shape.rank() >= 2});
    }
}

}  // namespace heron
