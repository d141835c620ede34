// SPDX-License-Identifier: MIT
// Aggregators of Jacobians against TorchJD.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"

namespace heron::test {
namespace {

constexpr double kUnit = 0x1p-24;

// "upgrad_reg1e-8": the aggregator, and its options where they are not the file's.
struct Variant {
    std::string kind;
    bool preferred;
    double reg_eps;
};
Variant variant_of(const std::string& name, double reg_eps) {
    const std::size_t underscore = name.find('_');
    Variant variant{name.substr(0, underscore), false, reg_eps};
    if (underscore == std::string::npos) return variant;
    const std::string rest = name.substr(underscore + 1);
    if (rest == "pref")
        variant.preferred = true;
    else if (rest.starts_with("reg"))
        variant.reg_eps = std::stod(rest.substr(3));
    else
        throw std::runtime_error(name + ": no aggregator that this test knows");
    return variant;
}

class UpgradGoldenTest : public DeviceTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& results) {
        const GoldenTensor jacobian = golden.tensor("J");
        const std::uint64_t k = jacobian.shape[0], n = jacobian.shape[1];
        const float norm_eps = static_cast<float>(golden.number("norm_eps"));
        const double reg_eps = golden.number("reg_eps");
        const MgdaOptions mgda{.epsilon = static_cast<float>(golden.number("mgda.epsilon")),
                               .max_iterations = static_cast<std::uint32_t>(golden.number("mgda.max_iters"))};
        golden.text("pref", "");
        std::vector<double> norms(k, 0.0);
        for (std::uint64_t i = 0; i < k; ++i) {
            for (std::uint64_t e = 0; e < n; ++e)
                norms[i] += jacobian.values[i * n + e] * jacobian.values[i * n + e];
            norms[i] = std::sqrt(norms[i]);
        }

        GuardedBuffer& rows = guarded(jacobian.floats());
        GuardedBuffer& preference = guarded(golden.tensor("pref").floats());
        for (const std::string& name : golden.tensor_names()) {
            if (name == "J" || name == "gramian" || name == "pref" || name.ends_with(".weights")) continue;
            const Variant variant = variant_of(name, reg_eps);
            Graph graph(device());
            GuardedBuffer& gram = guarded(std::vector<float>(k * k));
            GuardedBuffer& weights = guarded(std::vector<float>(k));
            const AggregateOutputs outputs{
                .weights = graph.external("weights", weights.view(DType::f32, {k})),
                .gram = graph.external("gram", gram.view(DType::f32, {k, k}))};
            // In two parts: what counts is the whole of them.
            std::vector<JacobianPart> parts;
            std::vector<GuardedBuffer*> gradients;
            for (const auto& [first, count] : {std::pair{std::uint64_t{0}, n / 3}, {n / 3, n - n / 3}}) {
                if (count == 0) continue;
                const std::string part = std::to_string(first);
                gradients.push_back(&guarded(std::vector<float>(count)));
                parts.push_back(
                    {graph.external("rows" + part, rows.view(DType::f32, {k, count}, 4 * first, n)),
                     graph.external("gradient" + part, gradients.back()->view(DType::f32, {count}))});
            }
            if (variant.kind == "mgda") {
                MgdaOptions options = mgda;
                options.outputs = outputs;
                aggregate_mgda(graph, parts, options);
            } else if (variant.kind == "upgrad" || variant.kind == "dualproj") {
                DualConeOptions options{
                    .norm_eps = norm_eps, .reg_eps = static_cast<float>(variant.reg_eps), .outputs = outputs};
                if (variant.preferred)
                    options.preference = graph.external("preference", preference.view(DType::f32, {k}));
                (variant.kind == "upgrad" ? aggregate_upgrad : aggregate_dualproj)(graph, parts, options);
            } else if (variant.kind == "mean") {
                MeanOptions options;
                if (variant.preferred)
                    options.preference = graph.external("preference", preference.view(DType::f32, {k}));
                aggregate_mean(graph, parts, options);
                // It has neither a Gram matrix nor weights of its own.
                gram.write(golden.tensor("gramian").floats());
                weights.write(variant.preferred ? golden.tensor("pref").floats()
                                                : std::vector<float>(k, 1.0f / static_cast<float>(k)));
            } else {
                throw std::runtime_error(name + ": no aggregator that this test knows");
            }
            Plan plan = graph.compile({.name = "upgrad golden"});
            plan.allocate();
            plan.run();

            const std::vector<float> gram32 = gram.floats(), weights32 = weights.floats();
            results.add("gramian",
                        frobenius_error(std::vector<double>(gram32.begin(), gram32.end()),
                                        golden.tensor("gramian").values),
                        1e-6);
            // Aggregates and weights relative to what is added up, since that may cancel.
            const GoldenTensor expected_weights = golden.tensor(name + ".weights");
            double size = 0, error = 0, weight_error = 0;
            for (std::uint64_t i = 0; i < k; ++i) {
                const double weight = expected_weights.values[i];
                size += std::abs(weight) * norms[i];
                weight_error += std::abs(weights32[i] - weight) * norms[i];
            }
            const GoldenTensor expected = golden.tensor(name);
            std::vector<float> aggregate;
            for (const GuardedBuffer* gradient : gradients)
                for (float value : gradient->floats()) aggregate.push_back(value);
            for (std::uint64_t e = 0; e < n; ++e) error += std::pow(aggregate[e] - expected.values[e], 2);
            // Gradients are rounded to f32 and their products added up with 16 roundings: what that can do
            // to a quadratic program is in aggregate.hpp, and the sums round 2 k times. Frank-Wolfe's steps
            // are as many products, each of them well conditioned.
            const double bound =
                variant.kind == "mgda" ? 2e-5 : 16 * kUnit / std::sqrt(variant.reg_eps) + 2 * k * kUnit;
            const auto relative = [&](double e) { return size > 0 ? e / size : e == 0 ? 0.0 : INFINITY; };
            results.add(name, relative(std::sqrt(error)), bound);
            // Weights of a nearly singular program are not determined as well as what they add up to.
            const double weight_bound = variant.kind == "mgda" ? bound : 16 * kUnit / variant.reg_eps;
            if (weight_bound < 0.1) results.add(name + ".weights", relative(weight_error), weight_bound);
        }
    }
};

TEST_P(UpgradGoldenTest, EveryFile) {
    run_golden("upgrad", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& results) { run_file(golden, results); });
}

HERON_DEVICE_TESTS(UpgradGoldenTest);

}  // namespace
}  // namespace heron::test
