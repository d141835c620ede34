// SPDX-License-Identifier: MIT
// Golden files of optimizers: tensors w.0, g.t, w.t (or u.t, the update without learning rate),
// state.<name>.t; of several parameters w.p0.0, g.p0.t, state.<name>.p0.t and so on.
//
// The steps run on from w.0, or begin at the file's w.(t-1) where its notes ask for that; at each one the
// update w.t - w.(t-1) is compared, since weights hide it:
//   matrix methods   relative Frobenius distance 1e-4 t (1e-3 after ten steps), plus three roundings of W
//   element-wise     per element 16 u t (|w| + |update| + lr)
// A matrix method's training that runs on ends where the file's does, too (training_deviation.hpp). States:
// largest error over largest value, ten times what float32 arithmetic costs.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "golden/training_deviation.hpp"
#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"

namespace heron::test {

inline constexpr double kUnit = 0x1p-24;

struct Interval {
    double least = 0, most = 0;

    bool holds(double x, double error) const { return x >= least - error && x <= most + error; }
};

struct OptimizerGolden {
    // The algorithm with the file's hyperparameters.
    std::function<std::unique_ptr<Optimizer>(const Device&)> make;
    // In place of Optimizer::add(): what the parameter brings along. Its name in the file is the last one.
    std::function<void(Optimizer&, const Parameter&, const std::string&)> add;
    bool element_wise = false;
    double lr = 0;  // of element-wise bounds
    // Which of the file's parameters belong to this algorithm; all, unless set.
    std::function<bool(const Shape&)> takes;
    std::function<MatrixView(const Shape&)> view;
    // Names of the file's states in the plan: {"momentum", "momentum"}; "": it is none of the plan's.
    std::map<std::string, std::string> states;
    // Of a matrix method's update in every step; 0: 1e-4 t.
    double update_bound = 0;
    // Of the whole training, relative to its way; 0: the file's.
    double training_bound = 0;
    // Added to update_bound: what the parameter's conditioning allows in step t, relative to the update.
    std::function<double(const std::string& in_plan, int t)> conditioning;
    // Of each element of step t's update, what it may be where rounding decides it (a sign of what is zero to
    // rounding). An element that alone takes more than half of the bound of all, and of which both values lie
    // in its interval, is left out of the comparison; three of a tensor may be, and one in 10,000.
    std::function<std::vector<Interval>(const std::string& in_plan, int t)> undecided;
    // Those of the file's states whose bound is another than 6e-6.
    std::map<std::string, double> state_bounds;
    // Tensors of the file, of step 0, that states of the plan begin with: {"q", "q"}.
    std::map<std::string, std::string> first_states;
    // Before step t: may change states of the parameter, by its names in the file and in the plan.
    std::function<void(Plan&, const std::string& in_file, const std::string& in_plan, int t)> prepare;
    // States that a subtraction leaves of gradients: they may vanish but for rounding, so that their errors
    // count relative to the gradient where that is larger.
    std::set<std::string> remainders;
    // Compares a state of the file that is no plain copy of one in the plan; returns false for others.
    std::function<bool(GoldenResult&, const Plan&, const std::string& state, const GoldenTensor&,
                       const std::string& in_plan, int t)>
        compare_state;
    // Every u.t is compared with -(w.t - 0): lr is 1, and W begins as zero in every step.
    bool updates = false;
    DisabledCapabilities disable{};  // of the device
};

// Hyperparameters that files of Adam's relatives name alike.
template <class Options>
void set_adam_options(const GoldenCase& golden, Options& options) {
    options.lr = static_cast<float>(golden.number("lr", options.lr));
    const std::vector<double> betas = golden.numbers("betas", {options.beta1, options.beta2});
    options.beta1 = betas.at(0);
    options.beta2 = betas.at(1);
    options.eps = static_cast<float>(golden.number("eps", options.eps));
    options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
}

class OptimizerGoldenTest : public DeviceTest {
protected:
    static std::vector<double> read_state(const Plan& plan, const std::string& name, std::size_t count) {
        std::vector<float> values(count);
        plan.read_state(name, std::as_writable_bytes(std::span(values)));
        return {values.begin(), values.end()};
    }

    // `label` tells several runs of one file apart.
    void run_case(const GoldenCase& golden, GoldenResult& result, const OptimizerGolden& setup,
                  const std::string& label = "") {
        Device& on = device(setup.disable);
        std::unique_ptr<Optimizer> optimizer = setup.make(on);
        std::vector<Item> items;
        for (const std::string& name : golden.parameters()) {
            const GoldenTensor first = golden.tensor(
                GoldenCase::tensor_name(setup.updates ? "g" : "w", name, setup.updates ? 1 : 0));
            if (setup.takes && !setup.takes(first.shape)) continue;
            const std::vector<float> zeros(first.values.size(), 0.0f);
            items.push_back({name, first.shape, &guarded_on(on, setup.updates ? zeros : first.floats()),
                             &guarded_on(on, zeros), first.values});
            Parameter parameter;
            parameter.name = items.back().plan_name();
            parameter.weight = items.back().weight->view(DType::f32, first.shape);
            parameter.gradient = items.back().gradient->view(DType::f32, first.shape);
            if (setup.view) parameter.view = setup.view(first.shape);
            if (setup.add)
                setup.add(*optimizer, parameter, name);
            else
                optimizer->add(parameter);
        }
        if (items.empty()) return;
        Plan plan = compile(on, {optimizer.get()});
        plan.allocate();
        plan.initialize();
        for (const Item& item : items)
            for (const auto& [name, state] : setup.first_states) {
                const std::vector<float> values =
                    golden.tensor(GoldenCase::tensor_name(name, item.name, 0)).floats();
                plan.write_state(item.plan_name() + "." + state, std::as_bytes(std::span(values)));
            }

        const bool feeds = golden.feeds_weights() && !setup.updates;
        for (int t = 1; golden.has_tensor(GoldenCase::tensor_name("g", items[0].name, t)); ++t) {
            std::vector<std::vector<float>> before;
            for (const Item& item : items) {
                item.gradient->write(golden.tensor(GoldenCase::tensor_name("g", item.name, t)).floats());
                if (setup.updates) item.weight->write(std::vector<float>(item.last.size(), 0.0f));
                if (feeds) item.weight->write(std::vector<float>(item.last.begin(), item.last.end()));
                before.push_back(item.weight->floats());
                if (setup.prepare) setup.prepare(plan, item.name, item.plan_name(), t);
            }
            plan.run();
            for (std::size_t i = 0; i < items.size(); ++i) {
                compare_update(golden, result, setup, label, t, items[i], before[i]);
                compare_states(golden, result, setup, label, t, items[i], plan);
            }
        }
        if (feeds || setup.updates || setup.element_wise) return;
        TrainingDeviation deviation;
        for (const Item& item : items)
            deviation.add(golden.tensor(GoldenCase::tensor_name("w", item.name, 0)).values, item.last,
                          item.weight->floats());
        deviation.compare(golden, result, label, setup.training_bound);
    }

    // For a state that is defined up to the signs of its columns: gives each the sign with which it is
    // closer.
    static void turn_columns(std::vector<double>& computed, const GoldenTensor& expected) {
        const std::size_t cols = expected.shape[expected.shape.rank() - 1];
        for (std::size_t column = 0; column < cols; ++column) {
            double product = 0;
            for (std::size_t i = column; i < computed.size(); i += cols)
                product += computed[i] * expected.values[i];
            if (product < 0)
                for (std::size_t i = column; i < computed.size(); i += cols) computed[i] = -computed[i];
        }
    }

private:
    struct Item {
        std::string name;  // in the file: "", "p0", "p1"
        Shape shape;
        GuardedBuffer* weight;
        GuardedBuffer* gradient;
        std::vector<double> last;  // the file's weight before the step

        std::string plan_name() const { return name.empty() ? "p" : name; }
    };

    static void compare_update(const GoldenCase& golden, GoldenResult& result, const OptimizerGolden& setup,
                               const std::string& label, int t, Item& item,
                               const std::vector<float>& before) {
        const std::vector<float> after = item.weight->floats();
        std::vector<double> update(after.size()), expected(after.size());
        const std::string name = GoldenCase::tensor_name(setup.updates ? "u" : "w", item.name, t);
        const GoldenTensor reference = golden.tensor(name);
        if (!(reference.shape == item.shape)) throw std::runtime_error("the shape of " + name + " changes");
        for (std::size_t i = 0; i < after.size(); ++i) {
            update[i] = static_cast<double>(after[i]) - before[i];
            expected[i] = setup.updates ? -reference.values[i] : reference.values[i] - item.last[i];
        }
        item.last = reference.values;
        const double more = setup.conditioning ? setup.conditioning(item.plan_name(), t) : 0;
        const std::vector<Interval> undecided =
            setup.undecided ? setup.undecided(item.plan_name(), t) : std::vector<Interval>();
        compare(result, label + "update to " + name, setup, t, after, update, expected, undecided, more);
    }

    // state.<name>.<t>, of several parameters state.<name>.p0.<t> or state.p0.<name>.<t>.
    static void compare_states(const GoldenCase& golden, GoldenResult& result, const OptimizerGolden& setup,
                               const std::string& label, int t, const Item& item, const Plan& plan) {
        const std::string end = "." + std::to_string(t), begin = "state.";
        for (const std::string& name : golden.tensor_names()) {
            if (!name.starts_with(begin) || !name.ends_with(end)) continue;
            std::string state = name.substr(begin.size(), name.size() - begin.size() - end.size());
            if (!item.name.empty()) {
                if (state.starts_with(item.name + "."))
                    state = state.substr(item.name.size() + 1);
                else if (state.ends_with("." + item.name))
                    state = state.substr(0, state.size() - item.name.size() - 1);
                else
                    continue;
            }
            if (setup.compare_state &&
                setup.compare_state(result, plan, state, golden.tensor(name), item.plan_name(), t))
                continue;
            const auto known = setup.states.find(state);
            if (known == setup.states.end())
                throw std::runtime_error("state \"" + state + "\" is not known to this test");
            const GoldenTensor expected = golden.tensor(name);
            if (known->second.empty()) continue;
            const std::vector<double> computed =
                read_state(plan, item.plan_name() + "." + known->second, expected.values.size());
            const auto bound = setup.state_bounds.find(state);
            double error = maximum_error(computed, expected.values);
            if (setup.remainders.contains(state)) {
                const GoldenTensor g = golden.tensor(GoldenCase::tensor_name("g", item.name, t));
                const auto largest = [](const std::vector<double>& values) {
                    double most = 0;
                    for (double value : values) most = std::max(most, std::abs(value));
                    return most;
                };
                const double whole = largest(g.values), left = largest(expected.values);
                if (left < whole) {
                    double worst = 0;
                    for (std::size_t i = 0; i < computed.size(); ++i)
                        worst = std::max(worst, std::abs(computed[i] - expected.values[i]));
                    error = worst / whole;
                }
            }
            result.add(label + name, error, bound == setup.state_bounds.end() ? 6e-6 : bound->second);
        }
    }

    static void compare(GoldenResult& result, const std::string& what, const OptimizerGolden& setup, int t,
                        const std::vector<float>& after, std::vector<double> update,
                        const std::vector<double>& expected, const std::vector<Interval>& undecided,
                        double more) {
        if (setup.element_wise) {
            double worst = 0;
            for (std::size_t i = 0; i < after.size(); ++i)
                worst = std::max(
                    worst, std::abs(update[i] - expected[i]) /
                               (16 * kUnit * t * (std::abs(after[i]) + std::abs(expected[i]) + setup.lr)));
            result.add(what, worst, 1.0);
            return;
        }
        double weight = 0, size = 0;
        for (std::size_t i = 0; i < after.size(); ++i) {
            weight += static_cast<double>(after[i]) * after[i];
            size += expected[i] * expected[i];
        }
        const double rounding = size > 0 ? 3 * kUnit * std::sqrt(weight / size) : 0;
        const double bound = (setup.update_bound > 0 ? setup.update_bound : 1e-4 * t) + rounding + more;
        std::size_t left_out = 0;
        for (std::size_t i = 0; i < undecided.size(); ++i) {
            const double error = 3 * kUnit * std::abs(static_cast<double>(after[i]));
            if (std::abs(update[i] - expected[i]) <= 0.5 * bound * std::sqrt(size) ||
                !undecided[i].holds(update[i], error) || !undecided[i].holds(expected[i], error))
                continue;
            update[i] = expected[i];
            ++left_out;
        }
        if (left_out > 0)
            result.add(what + ", elements that rounding decides", static_cast<double>(left_out),
                       3 + 1e-4 * static_cast<double>(undecided.size()));
        result.add(what, frobenius_error(update, expected), bound);
    }
};

}  // namespace heron::test
