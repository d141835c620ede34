// SPDX-License-Identifier: MIT
// Exact Gauss-Newton against its authors' code. The files have the Jacobians; losses at trial points are
// those of the files' network, in float64.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"

namespace heron::test {
namespace {

// prediction = activation(x W1 + b1) W2 + b2 with weights W1 b1 W2 b2 in the order of `param_order`.
class Network {
public:
    explicit Network(const GoldenCase& golden)
        : din_(count(golden, "din")),
          hidden_(count(golden, "hidden")),
          dout_(count(golden, "dout")),
          activation_(golden.text("activation", "tanh")) {
        if (activation_ != "tanh" && activation_ != "relu" && activation_ != "sigmoid")
            throw std::runtime_error("activation is " + activation_ + ", which this test does not know");
        std::size_t at = 0;
        for (const std::string& name : golden.texts("param_order")) {
            if (name == "W1") {
                w1_ = at;
                at += din_ * hidden_;
            } else if (name == "b1") {
                b1_ = at;
                at += hidden_;
            } else if (name == "W2") {
                w2_ = at;
                at += hidden_ * dout_;
            } else if (name == "b2") {
                b2_ = at;
                at += dout_;
            } else {
                throw std::runtime_error("param_order names " + name);
            }
        }
    }
    std::size_t outputs() const { return dout_; }

    std::vector<double> predict(const std::vector<double>& w, const double* x) const {
        std::vector<double> result(dout_);
        for (std::size_t k = 0; k < dout_; ++k) result[k] = w[b2_ + k];
        for (std::size_t h = 0; h < hidden_; ++h) {
            double z = w[b1_ + h];
            for (std::size_t i = 0; i < din_; ++i) z += x[i] * w[w1_ + i * hidden_ + h];
            const double a = activation_ == "tanh"   ? std::tanh(z)
                             : activation_ == "relu" ? std::max(z, 0.0)
                                                     : 1 / (1 + std::exp(-z));
            for (std::size_t k = 0; k < dout_; ++k) result[k] += a * w[w2_ + h * dout_ + k];
        }
        return result;
    }

    double loss(PredictionLoss kind, const std::vector<double>& w, const GoldenTensor& x,
                const std::vector<double>& targets) const {
        const std::size_t batch = x.shape[0];
        double sum = 0;
        for (std::size_t i = 0; i < batch; ++i) {
            const std::vector<double> f = predict(w, &x.values[i * din_]);
            const double* t = &targets[i * dout_];
            double normalizer = 0;
            for (double value : f) normalizer += std::exp(value);
            for (std::size_t k = 0; k < dout_; ++k) {
                if (kind == PredictionLoss::squared_error)
                    sum += (t[k] - f[k]) * (t[k] - f[k]) / 2;
                else if (kind == PredictionLoss::softmax_cross_entropy)
                    sum -= t[k] * (f[k] - std::log(normalizer));
                else
                    sum += std::log1p(std::exp(-std::abs(f[k]))) + std::max(f[k], 0.0) - t[k] * f[k];
            }
        }
        return sum / static_cast<double>(batch);
    }

private:
    static std::size_t count(const GoldenCase& golden, const char* key) {
        return static_cast<std::size_t>(golden.number(key));
    }
    std::size_t din_, hidden_, dout_;
    std::string activation_;
    std::size_t w1_ = 0, b1_ = 0, w2_ = 0, b2_ = 0;
};

SearchStart search_start(const std::string& reset_option) {
    if (reset_option == "increase") return SearchStart::increase;
    if (reset_option == "conservative") return SearchStart::conservative;
    if (reset_option == "goldstein") return SearchStart::goldstein;
    throw std::runtime_error("reset_option is " + reset_option);
}

// Relative to the larger of both: a solve whose condition is below 1e4 (specs of the family), in f32.
constexpr double kBound = 2e-4;

class EgnGoldenTest : public DeviceTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& results) {
        const Network network(golden);
        const std::uint64_t c = network.outputs();
        const auto b = static_cast<std::uint64_t>(golden.number("batch"));
        const std::string loss_name = golden.text("loss", "mse"), version = golden.text("version", "v1");
        if (version != "v0" && version != "v1") throw std::runtime_error("version is " + version);
        if (loss_name != "mse" && loss_name != "ce" && loss_name != "xe")
            throw std::runtime_error("loss is " + loss_name);
        const PredictionLoss loss = loss_name == "mse" ? PredictionLoss::squared_error
                                    : c == 1           ? PredictionLoss::sigmoid_cross_entropy
                                                       : PredictionLoss::softmax_cross_entropy;
        const double momentum = golden.number("momentum", 0);
        const bool searches = golden.flag("line_search", false);
        const bool adapts = golden.flag("adaptive_lambda", false);
        const double learning_rate = golden.number("learning_rate");
        ArmijoSearch search({.largest = learning_rate,
                             .aggressiveness = golden.number("aggressiveness", 0.9),
                             .decrease = golden.number("decrease_factor", 0.8),
                             .increase = golden.number("increase_factor", 1.5),
                             .max_trials = static_cast<std::uint32_t>(golden.number("maxls", 15)),
                             .start = search_start(golden.text("reset_option", "increase"))});
        const double lambda = golden.number("regularizer", 1);
        LevenbergMarquardt damping({.lambda = lambda,
                                    .raise = golden.number("lambda_increase_factor", 1.01),
                                    .lower = golden.number("lambda_decrease_factor", 0.99)});

        const GoldenTensor start = golden.tensor("w.0");
        const std::uint64_t d = start.shape.count();
        GuardedBuffer& weights = guarded(start.floats());
        GuardedBuffer& direction = guarded(std::vector<float>(d));
        GuardedBuffer& trial = guarded(std::vector<float>(d));
        GuardedBuffer& jacobian = guarded(std::vector<float>(b * c * d));
        GuardedBuffer& predictions = guarded(std::vector<float>(b * c));
        GuardedBuffer& targets = guarded(std::vector<float>(b * c));
        GuardedBuffer& residual = guarded(std::vector<float>(b * c));
        GuardedBuffer& model = guarded(std::vector<float>(2));
        GuardedBuffer& step_model = guarded(std::vector<float>(2));
        GuardedBuffer& status = guarded(std::vector<std::uint32_t>(1));
        // The official code solves with the first lambda even where it adapts it.
        GuardedBuffer& lambda_word = guarded(std::vector<float>{static_cast<float>(lambda)});
        GuardedBuffer& alpha = guarded(std::vector<float>(1));

        const auto external = [](Graph& graph, const char* name, const GuardedBuffer& buffer,
                                 const Shape& shape, DType dtype = DType::f32) {
            return graph.external(name, buffer.view(dtype, shape));
        };
        const auto system_in = [&](Graph& graph) {
            return GaussNewtonSystem{external(graph, "jacobian", jacobian, {b * c, d}),
                                     external(graph, "predictions", predictions, {b, c}),
                                     external(graph, "targets", targets, {b, c}), loss};
        };
        Graph directions(device());
        {
            const GaussNewtonSystem system = system_in(directions);
            const Tensor result = external(directions, "direction", direction, {d});
            gauss_newton_direction(directions, system, external(directions, "lambda", lambda_word, {1}),
                                   result,
                                   {.residual = external(directions, "residual", residual, {b, c}),
                                    .status = external(directions, "status", status, {1}, DType::u32)});
            if (version == "v1" && momentum > 0)
                average_direction(directions, result, {.momentum = static_cast<float>(momentum)});
            gauss_newton_model(directions, system, result, external(directions, "model", model, {2}));
        }
        Graph trials(device());
        newton_update(trials, external(trials, "weights", weights, {d}),
                      external(trials, "direction", direction, {d}), external(trials, "alpha", alpha, {1}),
                      external(trials, "trial", trial, {d}));
        Graph steps(device());
        {
            const Tensor w = external(steps, "weights", weights, {d});
            const bool heavy_ball = version == "v0" && momentum > 0;
            newton_update(steps, w, external(steps, "direction", direction, {d}),
                          external(steps, "alpha", alpha, {1}), w,
                          {.momentum = heavy_ball ? static_cast<float>(momentum) : 0.0f,
                           .status = external(steps, "status", status, {1}, DType::u32)});
        }
        // The model of the step that was taken, which differs from the direction's.
        Graph models(device());
        gauss_newton_model(models, system_in(models), external(models, "trial", trial, {d}),
                           external(models, "step_model", step_model, {2}));
        const auto ready = [](const Graph& graph) {
            Plan plan = graph.compile({});
            plan.allocate();
            if (!plan.states().empty()) plan.initialize();
            return plan;
        };
        Plan direct = ready(directions), attempt = ready(trials), take = ready(steps), judge = ready(models);

        const auto float64 = [](const GuardedBuffer& buffer) {
            const std::vector<float> values = buffer.floats();
            return std::vector<double>(values.begin(), values.end());
        };
        const auto count = static_cast<int>(golden.number("steps"));
        for (int t = 1; t <= count; ++t) {
            const std::string suffix = "." + std::to_string(t);
            const GoldenTensor x = golden.tensor("x" + suffix), y = golden.tensor("y" + suffix);
            jacobian.write(golden.tensor("state.J" + suffix).floats());
            predictions.write(golden.tensor("state.pred" + suffix).floats());
            // Labels of classes come one-hot, or as their numbers.
            std::vector<double> target = y.values;
            if (loss == PredictionLoss::softmax_cross_entropy && target.size() == b) {
                target.assign(b * c, 0);
                for (std::size_t i = 0; i < b; ++i) target[i * c + static_cast<std::size_t>(y.values[i])] = 1;
            }
            targets.write(std::vector<float>(target.begin(), target.end()));
            golden.ignore("state.Q" + suffix);
            direct.run();
            EXPECT_EQ(status.read<std::uint32_t>()[0], 0u);
            results.add("residual" + suffix,
                        frobenius_error(float64(residual), golden.tensor("state.residual" + suffix).values),
                        1e-6);
            // The file's direction is that before the momentum, or with it: w.1 - w.0 tells.
            const std::vector<double> before = float64(weights);
            const double loss_before = network.loss(loss, before, x, target);
            double step = learning_rate;
            if (searches) {
                search.begin(loss_before, model.floats()[0]);
                do {
                    alpha.write(std::vector<float>{static_cast<float>(search.step())});
                    attempt.run();
                } while (!search.accepts(network.loss(loss, float64(trial), x, target)));
                step = search.step();
            }
            alpha.write(std::vector<float>{static_cast<float>(step)});
            if (!(version == "v1" && momentum > 0))
                results.add(
                    "direction" + suffix,
                    frobenius_error(float64(direction), golden.tensor("state.direction" + suffix).values),
                    kBound);
            else
                golden.ignore("state.direction" + suffix);
            take.run();
            const std::vector<double> after = float64(weights);
            const GoldenTensor expected = golden.tensor("w" + suffix),
                               earlier = golden.tensor("w." + std::to_string(t - 1));
            std::vector<double> change(d), expected_change(d);
            for (std::size_t i = 0; i < d; ++i) {
                change[i] = after[i] - earlier.values[i];
                expected_change[i] = expected.values[i] - earlier.values[i];
            }
            // Weights are rounded, and steps run on: earlier errors are in `change`.
            results.add("w" + suffix, frobenius_error(change, expected_change), t * kBound);
            results.add("stepsize" + suffix,
                        std::abs(step / golden.tensor("state.stepsize" + suffix).values[0] - 1), 1e-6);
            if (adapts) {
                std::vector<float> taken(d);
                for (std::size_t i = 0; i < d; ++i) taken[i] = static_cast<float>(after[i] - before[i]);
                trial.write(taken);
                judge.run();
                const std::vector<float> numbers = step_model.floats();
                damping.update(network.loss(loss, after, x, target) - loss_before, numbers[0], numbers[1]);
            }
            results.add("lambda" + suffix,
                        std::abs(damping.lambda() / golden.tensor("state.lambda" + suffix).values[0] - 1),
                        1e-6);
        }
    }
};

TEST_P(EgnGoldenTest, EveryFile) {
    run_golden("egn", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& results) { run_file(golden, results); });
}

HERON_DEVICE_TESTS(EgnGoldenTest);

}  // namespace
}  // namespace heron::test
