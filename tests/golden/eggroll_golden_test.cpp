// SPDX-License-Identifier: MIT
// EGGROLL and its relatives against their code, with the files' noise; the optimizer behind is Heron's. And
// the generator's known answers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/box_muller.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"
#include "support/philox.hpp"

namespace heron::test {
namespace {

// Products of f32 numbers (the family's specs); steps run on.
constexpr double kBound = 2e-5;

// pairs x length x rank to (pairs rank) x length.
std::vector<float> columns_first(const GoldenTensor& noise) {
    const std::uint64_t pairs = noise.shape[0], length = noise.shape[1], rank = noise.shape[2];
    std::vector<float> result(noise.values.size());
    for (std::uint64_t p = 0; p < pairs; ++p)
        for (std::uint64_t i = 0; i < length; ++i)
            for (std::uint64_t k = 0; k < rank; ++k)
                result[(p * rank + k) * length + i] =
                    static_cast<float>(noise.values[(p * length + i) * rank + k]);
    return result;
}

std::vector<double> float64(const GuardedBuffer& buffer) {
    const std::vector<float> values = buffer.floats();
    return {values.begin(), values.end()};
}

class EggrollGoldenTest : public DeviceTest {
protected:
    void run_known_answers(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor counters = golden.tensor("ctr4"), keys = golden.tensor("key2"),
                           expected = golden.tensor("philox4x32_10");
        golden.ignore("threefry2x32_20");  // not a generator of this library
        const auto word = [](double value) { return static_cast<std::uint32_t>(value); };
        GuardedBuffer& drawn = guarded(std::vector<std::uint32_t>(4));
        for (std::size_t i = 0; i < counters.shape[0]; ++i) {
            const double* c = &counters.values[4 * i];
            Graph graph(device());
            fill_random(graph, graph.external("drawn", drawn.view(DType::u32, {4})),
                        {.distribution = Distribution::bits,
                         .seed = word(keys.values[2 * i]) | std::uint64_t{word(keys.values[2 * i + 1])} << 32,
                         .tensor = word(c[2]),
                         .stream = word(c[3]),
                         .step = word(c[1]),
                         .first_block = word(c[0]),
                         .control = false});
            Plan plan = graph.compile({});
            plan.allocate();
            plan.run();
            const std::vector<std::uint32_t> got = drawn.read<std::uint32_t>();
            double wrong = 0;
            for (std::size_t k = 0; k < 4; ++k) wrong += got[k] != word(expected.values[4 * i + k]);
            results.add("philox." + std::to_string(i), wrong, 0.5);
        }
        // The noise tests compare the device with this function.
        const GoldenTensor words = golden.tensor("bm.words"), normals = golden.tensor("bm.normals");
        for (std::size_t i = 0; i < words.shape[0]; ++i) {
            const double* w = &words.values[4 * i];
            const auto numbers = box_muller({word(w[0]), word(w[1]), word(w[2]), word(w[3])});
            for (std::size_t k = 0; k < 4; ++k)
                results.add("normals", std::abs(numbers[k] - normals.values[4 * i + k]), 1e-12);
        }
    }

    void run_file(const GoldenCase& golden, GoldenResult& results) {
        if (golden.has_tensor("ctr4")) return run_known_answers(golden, results);
        const std::string variant = golden.text("variant", "eggroll"), solver = golden.text("solver", "sgd");
        const bool full = variant == "open_es", baseline = variant == "eggroll_baseline_subtraction";
        if (!full && !baseline && variant != "eggroll" && variant != "alteggroll")
            throw std::runtime_error("variant is " + variant);
        const auto members = static_cast<std::uint64_t>(golden.number("population"));
        const auto rank = static_cast<std::uint32_t>(golden.number("rank", 1));
        const auto group = static_cast<std::uint32_t>(golden.number("group_size", 0));
        const float sigma = static_cast<float>(golden.number("sigma"));
        const bool frozen = golden.flag("freeze_nonlora", false);
        golden.number("noise_reuse", 0);  // the files' noise is that of each step
        golden.flag("use_batched_update", false);
        if (!golden.flag("antithetic", true)) throw std::runtime_error("members are pairs");
        const std::uint64_t pairs = members / 2;

        const GoldenTensor w0 = golden.tensor("w.0"), b0 = golden.tensor("b.0");
        const std::uint64_t m = w0.shape[0], n = w0.shape[1];
        GuardedBuffer& w = guarded(w0.floats());
        GuardedBuffer& b = guarded(b0.floats());
        GuardedBuffer& w_gradient = guarded(std::vector<float>(m * n));
        GuardedBuffer& b_gradient = guarded(std::vector<float>(m));
        const std::vector<Parameter> parameters{
            {.name = "w",
             .weight = w.view(DType::f32, {m, n}),
             .gradient = w_gradient.view(DType::f32, {m, n})},
            {.name = "b", .weight = b.view(DType::f32, {m}), .gradient = b_gradient.view(DType::f32, {m})}};
        const float rate = static_cast<float>(golden.number("lr"));
        const auto of_solver = [&](const char* name, double fallback) {
            return golden.number(std::string("solver_kwargs.") + name, fallback);
        };
        std::unique_ptr<Optimizer> optimizer;
        if (solver == "sgd")
            optimizer = std::make_unique<Sgd>(
                device(), SgdOptions{.lr = rate,
                                     .momentum = of_solver("momentum", 0),
                                     .nesterov = golden.flag("solver_kwargs.nesterov", false)});
        else if (solver == "adam" || solver == "adamw")
            optimizer = std::make_unique<AdamW>(
                device(), AdamWOptions{.lr = rate,
                                       .beta1 = of_solver("b1", 0.9),
                                       .beta2 = of_solver("b2", 0.999),
                                       .eps = static_cast<float>(of_solver("eps", 1e-8)),
                                       .weight_decay = static_cast<float>(
                                           of_solver("weight_decay", solver == "adamw" ? 1e-4 : 0))});
        else
            throw std::runtime_error("solver is " + solver);
        for (const Parameter& parameter : parameters) optimizer->add(parameter);
        StepOptions step_options;
        if (baseline) step_options.clip_norm = static_cast<float>(golden.number("trust_region_norm", 1));
        Plan step = compile(device(), {optimizer.get()}, step_options);
        step.allocate();
        step.initialize();

        GuardedBuffer& a_noise = guarded(std::vector<float>(std::max<std::uint64_t>(1, pairs * rank * m)));
        GuardedBuffer& b_noise = guarded(std::vector<float>(std::max<std::uint64_t>(1, pairs * rank * n)));
        GuardedBuffer& w_noise = guarded(std::vector<float>(full ? pairs * m * n : 1));
        GuardedBuffer& bias_noise = guarded(std::vector<float>(pairs * m));
        const std::uint64_t score_count = golden.tensor("scores.1").values.size();
        GuardedBuffer& scores = guarded(std::vector<float>(score_count));
        GuardedBuffer& fitness = guarded(std::vector<float>(members));
        const auto view = [](Graph& graph, const char* name, const GuardedBuffer& buffer,
                             const Shape& shape) {
            return graph.external(name, buffer.view(DType::f32, shape));
        };
        const auto low_rank = [&](Graph& graph) {
            return LowRankNoise{view(graph, "a noise", a_noise, {pairs * rank, m}),
                                view(graph, "b noise", b_noise, {pairs * rank, n}), rank};
        };
        Graph update(device());
        {
            const Tensor f = view(update, "fitness", fitness, {members});
            shape_fitness(update, view(update, "scores", scores, {score_count}), f,
                          {.group = group, .baseline = baseline});
            const Tensor to = view(update, "w gradient", w_gradient, {m, n});
            const bool signs = variant == "alteggroll";
            if (full)
                evolution_gradient(update, f, view(update, "w noise", w_noise, {pairs, m * n}), sigma,
                                   to.reshape({m * n}));
            else
                evolution_gradient(update, f, low_rank(update), sigma, to, {.signs = signs});
            if (!frozen)
                evolution_gradient(update, f, view(update, "bias noise", bias_noise, {pairs, m}), sigma,
                                   view(update, "b gradient", b_gradient, {m}));
        }
        Plan estimate = update.compile({});
        estimate.allocate();

        const auto steps = static_cast<int>(golden.number("steps"));
        for (int t = 1; t <= steps; ++t) {
            const std::string suffix = "." + std::to_string(t);
            // The first pair of a group has none, which the files' numbers do not show.
            const auto noise = [&](const char* name) {
                GoldenTensor drawn = golden.tensor(name + suffix);
                const std::uint64_t pair_size = drawn.values.size() / pairs;
                for (std::uint64_t p = 0; baseline && p < pairs; ++p)
                    if (2 * p % (group > 0 ? group : members) < 2)
                        std::fill_n(drawn.values.begin() + static_cast<std::ptrdiff_t>(p * pair_size),
                                    pair_size, 0.0);
                return drawn;
            };
            if (full) {
                w_noise.write(noise("noise.W").floats());
            } else {
                a_noise.write(columns_first(noise("noise.A")));
                b_noise.write(columns_first(noise("noise.B")));
            }
            if (!frozen)
                bias_noise.write(noise("noise.b").floats());
            else
                golden.ignore("noise.b" + suffix);
            scores.write(golden.tensor("scores" + suffix).floats());
            if (golden.has_tensor("x" + suffix))
                forward(golden, results, suffix, full, frozen, sigma, pairs, w, b, low_rank, w_noise,
                        bias_noise, view);
            estimate.run();
            const GoldenTensor expected_fitness = golden.tensor("fitness" + suffix);
            // Scores are subtracted from their mean, which loses digits where they are alike.
            const GoldenTensor exact = golden.tensor("scores" + suffix);
            double largest = 0, mean = 0, variance = 0;
            for (double score : exact.values) {
                largest = std::max(largest, std::abs(score));
                mean += score / static_cast<double>(exact.values.size());
            }
            for (double score : exact.values)
                variance += (score - mean) * (score - mean) / static_cast<double>(exact.values.size());
            const double cancelled = largest / std::sqrt(variance + 1e-5);
            results.add("fitness" + suffix, maximum_error(float64(fitness), expected_fitness.values),
                        1e-6 * (1 + cancelled));
            results.add("grad.W" + suffix,
                        frobenius_error(float64(w_gradient), golden.tensor("grad.W" + suffix).values),
                        kBound * (1 + cancelled / 10));
            if (!frozen)
                results.add("grad.b" + suffix,
                            frobenius_error(float64(b_gradient), golden.tensor("grad.b" + suffix).values),
                            kBound * (1 + cancelled / 10));
            else
                golden.ignore("grad.b" + suffix);
            step.run();
            for (const auto& [name, buffer, start] : {std::tuple{"w", &w, &w0}, {"b", &b, &b0}}) {
                const GoldenTensor expected = golden.tensor(name + suffix);
                std::vector<double> change = float64(*buffer), expected_change = expected.values;
                double size = 0;
                for (std::size_t i = 0; i < change.size(); ++i) {
                    change[i] -= static_cast<double>(static_cast<float>(start->values[i]));
                    expected_change[i] -= start->values[i];
                    size += std::pow(start->values[i], 2);
                }
                double length = 0;
                for (double value : expected_change) length += value * value;
                // Weights are rounded at every step.
                results.add(name + suffix, frobenius_error(change, expected_change),
                            kBound * (1 + cancelled / 10) +
                                (length > 0 ? t * 0x1p-24 * std::sqrt(size / length) : 0));
            }
        }
    }

private:
    template <typename LowRank, typename View>
    void forward(const GoldenCase& golden, GoldenResult& results, const std::string& suffix, bool full,
                 bool frozen, float sigma, std::uint64_t pairs, const GuardedBuffer& w,
                 const GuardedBuffer& b, const LowRank& low_rank, const GuardedBuffer& w_noise,
                 const GuardedBuffer& bias_noise, const View& view) {
        const GoldenTensor x = golden.tensor("x" + suffix), y = golden.tensor("y" + suffix);
        const std::uint64_t members = x.shape[0], length = x.shape[1], n = x.shape[2], m = y.shape[2];
        GuardedBuffer& inputs = guarded(x.floats());
        GuardedBuffer& outputs = guarded(std::vector<float>(y.values.size()));
        GuardedBuffer& biases = guarded(std::vector<float>(members * m));
        Graph graph(device());
        const Tensor weight = view(graph, "w", w, {m, n}), in = view(graph, "x", inputs, x.shape),
                     out = view(graph, "y", outputs, y.shape);
        if (full) {
            const Tensor copies = graph.temporary(DType::f32, {members, m, n});
            perturbed_copies(graph, weight.reshape({m * n}), view(graph, "w noise", w_noise, {pairs, m * n}),
                             sigma, copies.reshape({members, m * n}));
            gemm(graph, in, copies, {}, out, {.transpose_b = Transpose::yes});
        } else {
            perturbed_linear(graph, in, weight, low_rank(graph), sigma, out);
        }
        if (!frozen)
            perturbed_copies(graph, view(graph, "b", b, {m}),
                             view(graph, "bias noise", bias_noise, {pairs, m}), sigma,
                             view(graph, "biases", biases, {members, m}));
        Plan plan = graph.compile({});
        plan.allocate();
        plan.run();
        std::vector<double> sum = float64(outputs);
        const std::vector<double> bias = float64(frozen ? b : biases);
        for (std::uint64_t i = 0; i < members; ++i)
            for (std::uint64_t s = 0; s < length; ++s)
                for (std::uint64_t k = 0; k < m; ++k)
                    sum[(i * length + s) * m + k] += bias[frozen ? k : i * m + k];
        results.add("y" + suffix, frobenius_error(sum, y.values), kBound);
    }
};

TEST_P(EggrollGoldenTest, EveryFile) {
    run_golden("eggroll", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& results) { run_file(golden, results); });
}

HERON_DEVICE_TESTS(EggrollGoldenTest);

}  // namespace
}  // namespace heron::test
