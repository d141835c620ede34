// SPDX-License-Identifier: MIT
// PsgdKron's recipe: momentum, fit (in its gate), preconditioning, clipping and update.
#include "heron/optim/psgd.hpp"

#include <cmath>
#include <utility>

#include "heron/linalg/reduce.hpp"
#include "optim/checks.hpp"
#include "optim/moments.hpp"
#include "optim/psgd_factors.hpp"
#include "optim/psgd_options.hpp"
#include "optim/psgd_step.hpp"
#include "optim/refresh.hpp"

namespace heron {

namespace {

PsgdFitRules rules_of(const PsgdKronOptions& options) {
    return {options.geometry, options.preconditioner_lr, options.smoothness_decay, options.bound_rows};
}

// Axes of length 1 go; a scalar is a vector of 1.
std::vector<std::uint64_t> squeezed(const Shape& shape) {
    std::vector<std::uint64_t> extents;
    for (const std::uint64_t extent : shape)
        if (extent != 1) extents.push_back(extent);
    if (extents.empty()) extents.push_back(1);
    return extents;
}

std::vector<bool> dense_axes(const std::vector<std::uint64_t>& extents, std::uint64_t count,
                             const PsgdKronOptions& options) {
    std::vector<bool> dense;
    for (const std::uint64_t d : extents)
        dense.push_back(d > 1 && d <= options.max_order &&
                        static_cast<double>(d) * static_cast<double>(d) <=
                            options.max_skew * static_cast<double>(count));
    return dense;
}

// One parameter of a step.
struct Part {
    const StepBuilder::Item* item;
    std::vector<PsgdFactor> factors;
    std::uint32_t stream;  // of its draws
    Tensor x;
    PsgdInputTensors inputs;
    Tensor direction;
    Section fit;
};

class Recipe {
public:
    Recipe(StepBuilder& step, const PsgdKronOptions& options, const std::map<std::string, PsgdInputs>& inputs,
           const std::string& name)
        : step_(step),
          graph_(step.graph()),
          options_(options),
          rules_(rules_of(options)),
          newton_(options.fit == PsgdFit::hessian),
          balance_(
              psgd_section(step, kPsgdBalanceGate, options.balance_probability, options.balance_schedule)) {
        make_parts(inputs, name);
        schedule_fits(name);
    }

    void build() {
        start();
        if (options_.fit_first) fit();
        graph_.set_stage("psgd precondition");
        const Tensor norms = parts_.empty() ? Tensor() : graph_.temporary(DType::f32, Shape{parts_.size()});
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            parts_[i].direction = psgd_precondition(graph_, parts_[i].factors, parts_[i].x, rules_);
            frobenius_norm(graph_, parts_[i].direction, psgd_part(norms, i, Shape{1}));
        }
        if (!options_.fit_first) fit();
        graph_.set_stage("psgd update");
        for (std::size_t i = 0; i < parts_.size(); ++i) update(parts_[i], norms, i);
        if (newton_) draw_probes(Phase::step);
    }

private:
    void make_parts(const std::map<std::string, PsgdInputs>& inputs, const std::string& name) {
        graph_.set_stage("psgd momentum");
        const std::vector<std::uint32_t> streams = psgd_streams(name, step_.items());
        for (std::size_t i = 0; i < step_.items().size(); ++i) {
            const StepBuilder::Item& item = step_.items()[i];
            const Shape& shape = item.weight.shape;
            if (shape.count() == 0) continue;
            const std::vector<std::uint64_t> extents = squeezed(shape);
            Part part{
                &item,
                make_psgd_factors(step_, item, extents, dense_axes(extents, shape.count(), options_), true),
                streams[i],
                {},
                {},
                {},
                {}};
            part.x =
                add_psgd_moment(step_, item,
                                {.momentum = options_.momentum, .moments = options_.moments, .ramp = true})
                    .x;
            const PsgdInputs given = psgd_inputs(inputs, *item.parameter);
            if (given.draws.address != 0)
                check_psgd_draws(step_.device(), "PsgdKron: parameter " + in_quotes(item.parameter->name),
                                 given.draws, shape.count() + psgd_bound_draws(part.factors, rules_));
            part.inputs = add_psgd_inputs(step_, item, given, options_.fit);
            if (part.inputs.own_probe) drawn_probes_.push_back(parts_.size());
            parts_.push_back(std::move(part));
        }
    }

    void schedule_fits(const std::string& name) {
        std::vector<double> flops;
        for (const Part& part : parts_) flops.push_back(psgd_fit_flops(part.factors, rules_));
        // Newton's first step needs a fit: its factors begin with the size of that step's products.
        const bool in_first_step = newton_ && options_.initial_scale == 0;
        const std::uint32_t gate =
            psgd_section(step_, kPsgdFitGate, options_.update_probability, options_.update_schedule).gate;
        RefreshSchedule refreshes(graph_, name, options_.refresh, 1, refresh_turns(options_.refresh, flops),
                                  in_first_step ? FirstRefresh::in_first_step : FirstRefresh::by_policy);
        for (Part& part : parts_) part.fit = refreshes.next(gate);
    }

    // First factors, and first probes.
    void start() {
        graph_.set_stage("psgd start");
        if (newton_) draw_probes(Phase::initialize);
        if (parts_.empty()) return;
        if (options_.initial_scale > 0) {
            graph_.set_phase(Phase::initialize);
            for (const Part& part : parts_) {
                const double scale = static_cast<double>(options_.initial_scale);
                const double exponent =
                    (rules_.fits_p() ? 2.0 : 1.0) / static_cast<double>(part.factors.size());
                start_psgd_factors(graph_, part.factors, static_cast<float>(std::pow(scale, exponent)));
            }
            graph_.set_phase(Phase::step);
            return;
        }
        graph_.set_section(kPsgdFirst);
        PsgdMoments moments{graph_.temporary(DType::f32, Shape{parts_.size(), 2}), options_.damping, 0,
                            rules_.fits_p()};
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            const PsgdMomentInput input{parts_[i].item, parts_[i].inputs.product, parts_[i].inputs.probe};
            add_psgd_moments(step_, {&input, 1}, moments.moments.row_range(i, 1));
            if (newton_) moments.probes += parts_[i].item->weight.shape.count();
        }
        for (const Part& part : parts_) start_psgd_factors(graph_, part.factors, moments);
        graph_.set_section({});
    }

    void draw_probes(Phase phase) {
        graph_.set_phase(phase);
        for (const std::size_t i : drawn_probes_) {
            const Tensor& probe = parts_[i].inputs.probe;
            fill_psgd_draws(graph_, probe, probe.shape.count(), PsgdPurpose::probe, parts_[i].stream);
        }
        graph_.set_phase(Phase::step);
    }

    void fit() {
        graph_.set_stage("psgd fit");
        for (const Part& part : parts_) {
            graph_.set_section(part.fit);
            if (options_.geometry == PsgdGeometry::qep) balance_psgd_factors(graph_, part.factors);
            fit(part);
        }
        if (options_.geometry != PsgdGeometry::qep && options_.balance_probability > 0) {
            graph_.set_section(balance_);
            for (const Part& part : parts_) balance_psgd_factors(graph_, part.factors);
        }
        graph_.set_section({});
    }

    void fit(const Part& part) {
        const std::uint64_t count = part.item->weight.shape.count();
        const std::uint64_t bounds = psgd_bound_draws(part.factors, rules_);
        const Tensor draws = part.inputs.draws
                                 ? part.inputs.draws
                                 : add_psgd_draws(step_, *part.item, count + bounds, part.stream);
        const Tensor z = psgd_part(draws, 0, Shape{count});
        const Tensor h =
            add_psgd_noise(step_, *part.item, psgd_noise(options_, z, part.inputs.product, part.x));
        Tensor probe = part.inputs.probe;
        if (!newton_ && options_.geometry == PsgdGeometry::eq) probe = z;
        fit_psgd_factors(graph_, part.factors, h, probe,
                         bounds > 0 ? psgd_part(draws, count, Shape{bounds}) : Tensor(), rules_);
    }

    void update(const Part& part, const Tensor& norms, std::size_t index) {
        const double count = static_cast<double>(part.item->weight.shape.count());
        PsgdUpdate update{.direction = part.direction, .norms = norms, .norm_first = index};
        update.limit = static_cast<double>(options_.clip_rms) * std::sqrt(count);
        if (options_.clip_norm > 0) {
            update.norm_first = 0;
            update.norm_count = parts_.size();
            update.limit = static_cast<double>(options_.clip_norm);
        }
        update.largest = options_.clip_element;
        add_psgd_update(step_, *part.item, update);
    }

    StepBuilder& step_;
    Graph& graph_;
    const PsgdKronOptions& options_;
    PsgdFitRules rules_;
    bool newton_;
    Section balance_;
    std::vector<Part> parts_;
    std::vector<std::size_t> drawn_probes_;
};

}  // namespace

PsgdKronOptions PsgdKronOptions::newton() { return psgd_newton<PsgdKronOptions>(); }

PsgdKron::PsgdKron(const Device& device, const PsgdKronOptions& options)
    : Optimizer(device, "psgd_kron"), options_(options) {
    const PsgdKronOptions& o = options;
    check_psgd_options("PsgdKron", o);
    check_enum("PsgdKron", "geometry", o.geometry, PsgdGeometry::quad4p);
    check_option("PsgdKron", "max_order", o.max_order, o.max_order >= 1 && o.max_order <= 8192, "1 to 8192");
    check_option("PsgdKron", "max_skew", o.max_skew, o.max_skew >= 0, "finite and not below 0");
    check_psgd_chance("PsgdKron", "balance_probability", o.balance_probability);
    check_refresh("PsgdKron", "refresh", o.refresh);
    check_option("PsgdKron", "refresh.first for Newton without an initial_scale", o.refresh.first,
                 o.refresh.first == 0 || o.fit != PsgdFit::hessian || o.initial_scale > 0, "0");
    check_option("PsgdKron", "bound_rows", o.bound_rows, o.bound_rows >= 1 && o.bound_rows <= 128,
                 "1 to 128");
}

void PsgdKron::check(const Parameter& parameter) const {
    check_psgd_product("PsgdKron", parameter, options_.fit, inputs_);
}

void PsgdKron::add(Parameter parameter, const PsgdInputs& inputs) {
    add_with_inputs(*this, "PsgdKron", std::move(parameter), options_.fit, inputs, inputs_,
                    [this](Parameter checked) { Optimizer::add(std::move(checked)); });
}

std::string PsgdKron::options_text() const {
    const PsgdKronOptions& o = options_;
    const auto number = [](auto value) { return std::to_string(static_cast<std::uint32_t>(value)); };
    return "psgd_kron geometry=" + number(o.geometry) + " max_order=" + number(o.max_order) +
           " max_skew=" + number_text(o.max_skew) +
           " balance_probability=" + number_text(o.balance_probability) +
           " bound_rows=" + number(o.bound_rows) + changed_refresh_text("refresh", o.refresh) +
           psgd_options_text(o);
}

std::vector<HyperValue> PsgdKron::hyper() const {
    return psgd_hyper(name(), options_,
                      HyperValue::chance(name(), options_.balance_probability, options_.balance_schedule));
}

void PsgdKron::build(StepBuilder& step) const { Recipe(step, options_, inputs_, name()).build(); }

}  // namespace heron
