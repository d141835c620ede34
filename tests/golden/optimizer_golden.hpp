// SPDX-License-Identifier: MIT
// Golden files of optimizers: tensors w.0, g.t, w.t (or u.t, the update without learning rate),
// state.<name>.t.
//
// The steps run on from w.0; at each one the update w.t - w.(t-1) is compared, since weights hide it:
//   matrix methods   relative Frobenius distance 1e-4 t (1e-3 after ten steps), plus three roundings of W
//   element-wise     per element 16 u t (|w| + |update| + lr)
// States: largest error over largest value, ten times what float32 arithmetic costs.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"

namespace heron::test {

inline constexpr double kUnit = 0x1p-24;

struct OptimizerGolden {
    // The algorithm with the file's hyperparameters.
    std::function<std::unique_ptr<Optimizer>(const Device&)> make;
    bool element_wise = false;
    double lr = 0;  // of element-wise bounds
    MatrixView view;
    // Names of the file's states in the plan: {"momentum", "momentum"}.
    std::map<std::string, std::string> states;
    // Every u.t is compared with -(w.t - 0): lr is 1, and W begins as zero in every step.
    bool updates = false;
};

class OptimizerGoldenTest : public DeviceTest {
protected:
    // `label` tells several runs of one file apart.
    void run_case(const GoldenCase& golden, GoldenResult& result, const OptimizerGolden& setup,
                  const std::string& label = "") {
        const GoldenTensor first = golden.tensor(setup.updates ? "g.1" : "w.0");
        const Shape shape = first.shape;
        const std::vector<float> zeros(first.values.size(), 0.0f);
        GuardedBuffer& weight = guarded(setup.updates ? zeros : first.floats());
        GuardedBuffer& gradient = guarded(zeros);
        std::unique_ptr<Optimizer> optimizer = setup.make(device());
        Parameter parameter;
        parameter.name = "p";
        parameter.weight = weight.view(DType::f32, shape);
        parameter.gradient = gradient.view(DType::f32, shape);
        parameter.view = setup.view;
        optimizer->add(parameter);
        Plan plan = compile(device(), {optimizer.get()});
        plan.allocate();
        plan.initialize();

        std::vector<double> expected_before = first.values;
        for (int t = 1; golden.has_tensor("g." + std::to_string(t)); ++t) {
            const std::string step = std::to_string(t);
            gradient.write(golden.tensor("g." + step).floats());
            if (setup.updates) weight.write(zeros);
            const std::vector<float> before = weight.floats();
            plan.run();
            const std::vector<float> after = weight.floats();
            std::vector<double> update(after.size()), expected(after.size());
            const GoldenTensor reference = golden.tensor((setup.updates ? "u." : "w.") + step);
            for (std::size_t i = 0; i < after.size(); ++i) {
                update[i] = static_cast<double>(after[i]) - before[i];
                expected[i] = setup.updates ? -reference.values[i] : reference.values[i] - expected_before[i];
            }
            expected_before = reference.values;
            compare(result, label + "update " + step, setup, t, after, update, expected);

            for (const std::string& name : golden.tensor_names()) {
                if (!name.starts_with("state.") || !name.ends_with("." + step)) continue;
                const std::string state = name.substr(6, name.size() - 7 - step.size());
                const auto known = setup.states.find(state);
                if (known == setup.states.end())
                    throw std::runtime_error("state \"" + state + "\" is not known to this test");
                std::vector<float> values(after.size());
                plan.read_state("p." + known->second, std::as_writable_bytes(std::span(values)));
                result.add(label + name,
                           maximum_error(std::vector<double>(values.begin(), values.end()),
                                         golden.tensor(name).values),
                           6e-6);
            }
        }
    }

private:
    static void compare(GoldenResult& result, const std::string& what, const OptimizerGolden& setup, int t,
                        const std::vector<float>& after, const std::vector<double>& update,
                        const std::vector<double>& expected) {
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
        result.add(what, frobenius_error(update, expected), 1e-4 * t + rounding);
    }
};

}  // namespace heron::test
