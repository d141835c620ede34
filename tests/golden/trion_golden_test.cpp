// SPDX-License-Identifier: MIT
// Trion and its cosine basis against the authors' code.
#include <algorithm>
#include <limits>
#include <stdexcept>

#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_subspace.hpp"

namespace heron::test {
namespace {

class TrionGoldenTest : public OptimizerGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        if (golden.has_tensor("Q"))
            run_basis(golden, result);
        else
            run_steps(golden, result);
    }

private:
    // Q by vectors; x Q^T, which Makhoul's algorithm computes.
    void run_basis(const GoldenCase& golden, GoldenResult& result) {
        const GoldenTensor q = golden.tensor("Q"), x = golden.tensor("x");
        const std::uint64_t n = static_cast<std::uint64_t>(golden.number("n"));
        std::vector<std::uint32_t> all(n);
        for (std::uint32_t i = 0; i < n; ++i) all[i] = i;
        GuardedBuffer &indices = guarded(all), &from = guarded(x.floats()),
                      &basis = guarded(std::vector<float>(n * n, 0.0f)),
                      &transform = guarded(std::vector<float>(x.values.size(), 0.0f));
        Graph graph(device());
        dct_basis(graph, graph.external("indices", indices.view(DType::u32, {n})),
                  graph.external("basis", basis.view(DType::f32, {n, n})));
        dct(graph, graph.external("x", from.view(DType::f32, x.shape)),
            graph.external("transform", transform.view(DType::f32, x.shape)));
        Plan plan = graph.compile({});
        plan.allocate();
        plan.run();
        const auto compare = [&](const char* name, const GuardedBuffer& computed) {
            const std::vector<float> values = computed.floats();
            result.add(name,
                       frobenius_error(std::vector<double>(values.begin(), values.end()),
                                       golden.tensor(name).values),
                       4 * std::log2(2 * static_cast<double>(n)) * kUnit);
        };
        compare("Q", basis);
        compare("makhoul", transform);
    }

    void run_steps(const GoldenCase& golden, GoldenResult& result) {
        TrionOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.momentum = golden.number("momentum", options.momentum);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.rank = static_cast<std::uint32_t>(golden.number("rank"));
        const std::map<std::string, ShapeFactor> factors{{"kj", ShapeFactor::max_one_sqrt_ratio},
                                                         {"kimi", ShapeFactor::match_rms},
                                                         {"dion", ShapeFactor::sqrt_ratio},
                                                         {"none", ShapeFactor::none}};
        const std::string scaling = golden.has("scaling_type") && golden.is_null("scaling_type")
                                        ? "none"
                                        : golden.text("scaling_type", "");
        const auto factor = factors.find(scaling);
        if (factor == factors.end())
            throw std::runtime_error("scaling_type \"" + scaling + "\" is not known to this test");
        options.shape_factor = factor->second;
        // The authors' Triton kernels come with other coefficients.
        const std::string type = golden.text("ns_type", "torch");
        if (type != "torch" && type != "triton")
            throw std::runtime_error("ns_type \"" + type + "\" is not known to this test");
        if (golden.flag("use_makhoul", false))
            throw std::runtime_error(
                "use_makhoul reconstructs with another basis than it projects with, and is not followed");
        // ... five of them, whatever ns_steps says, which their call does not pass on.
        const auto steps = static_cast<std::uint32_t>(golden.number("ns_steps", 5));
        options.polar.coefficients =
            type == "torch" ? newton_schulz_coefficients("muon", steps) : newton_schulz_coefficients("you5");

        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}};
        setup.remainders = {"momentum"};
        // A set: its order is arbitrary.
        setup.compare_state = [](GoldenResult& to, const Plan& plan, const std::string& state,
                                 const GoldenTensor& expected, const std::string& parameter, int t) {
            if (state != "indices") return false;
            std::vector<std::uint32_t> chosen(expected.values.size());
            plan.read_state(parameter + ".indices", std::as_writable_bytes(std::span(chosen)));
            std::vector<double> computed(chosen.begin(), chosen.end()), wanted = expected.values;
            std::sort(computed.begin(), computed.end());
            std::sort(wanted.begin(), wanted.end());
            to.add("indices of step " + std::to_string(t),
                   computed == wanted ? 0 : std::numeric_limits<double>::infinity(), 1);
            return true;
        };
        for (const bool one_workgroup : {true, false}) {
            options.polar.one_workgroup = one_workgroup;
            setup.make = [options](const Device& on) { return std::make_unique<Trion>(on, options); };
            run_case(golden, result, setup, one_workgroup ? "one workgroup: " : "products: ");
        }
    }
};

TEST_P(TrionGoldenTest, EveryFile) {
    run_golden("trion", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

TEST_P(TrionGoldenTest, TheCoefficientsOfTheTritonKernels) {
    TrionOptions options{.rank = 2, .lr = 0.01f, .momentum = 0.9};
    options.polar.coefficients = newton_schulz_coefficients("you5");
    for (const char* steps : {"null", "5", "3"}) {
        const std::string hyper =
            R"({"lr": 0.01, "momentum": 0.9, "rank": 2, "scaling_type": null, "ns_type": "triton", "ns_steps": )";
        const ReferenceGolden file({.name = "triton",
                                    .hyper = hyper + steps + "}",
                                    .shape = {12, 7},
                                    .states = {{"momentum", "momentum", {12, 7}}}},
                                   TrionReference(options, {12, 7}, 1.0));
        EXPECT_TRUE(file.passes([&](const GoldenCase& golden, GoldenResult& result) {
            run_file(golden, result);
        })) << steps;
    }
}

TEST_P(TrionGoldenTest, SeveralParametersOfOneFile) {
    const std::vector<std::string> cases{"r2-kimi-wide", "r2-kimi-square", "r2-kimi-tall"};
    const auto run = [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); };
    expect_several_parameters("trion", cases, "momentum", run);
    EXPECT_FALSE(MergedGolden("trion", cases, "", [](const std::string& name, std::vector<double>& values) {
                     if (name == "state.indices.p1.3") values[0] += values[0] < 7 ? 1 : -1;
                     return true;
                 }).passes(run));
}

HERON_DEVICE_TESTS(TrionGoldenTest);

}  // namespace
}  // namespace heron::test
