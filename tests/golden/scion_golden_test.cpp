// SPDX-License-Identifier: MIT
// Scion's oracles and optimizer against the authors' code, and the non-Euclidean trust region.
#include <map>
#include <stdexcept>

#include "golden/matrix_golden.hpp"
#include "golden/merged_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_ortho.hpp"

namespace heron::test {
namespace {

class ScionGoldenTest : public MatrixGoldenTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        if (golden.has("eta")) return run_trust_region(golden, result);
        if (golden.has_tensor("w.0") || golden.has_tensor("w.p0.0")) return run_optimizer(golden, result);
        run_oracles(golden, result);
    }

private:
    // The authors' names, with the scale that is their default.
    static ScionOptions norm_options(const std::string& name, const Shape& shape) {
        ScionOptions options;
        options.kernel = ScionKernel::authors;
        if (name == "Auto") return options;
        if (name == "Spectral" || name == "SpectralConv") {
            options.norm = ScionNorm::spectral;
        } else if (name == "Sign") {
            options.norm = ScionNorm::sign;
        } else if (name == "RowNorm") {
            options.norm = ScionNorm::row;
        } else if (name == "ColNorm" || (name == "BiasRMS" && shape.rank() == 2)) {
            options.norm = ScionNorm::column;  // the mean of BiasRMS runs over the first axis
            options.norm_scale = ScionScale::unnormalized;
        } else if (name == "BiasRMS") {
            options.norm = ScionNorm::frobenius;
        } else {
            throw std::runtime_error("norm \"" + name + "\" is not known to this test");
        }
        return options;
    }

    // The optimizer's norm_kwargs: arguments of the norm.
    static void set_arguments(const GoldenCase& golden, ScionOptions& options) {
        if (golden.is_null("norm_kwargs")) return;
        const auto flag = [&](const char* name, bool fallback) {
            return golden.flag(std::string("norm_kwargs.") + name, fallback);
        };
        if (!flag("normalized", options.norm_scale != ScionScale::unnormalized))
            options.norm_scale = ScionScale::unnormalized;
        else if (golden.has("norm_kwargs.normalized"))
            options.norm_scale = ScionScale::normalized;
        if (flag("max", false) && options.norm_scale == ScionScale::normalized)
            options.norm_scale = ScionScale::normalized_max;
        options.transpose = flag("transpose", false);
        options.polar.coefficients = newton_schulz_coefficients(
            "muon", static_cast<std::uint32_t>(golden.number("norm_kwargs.steps", 5)));
        flag("zero_init", false);  // of the first weights, which the file has
    }

    // What a norm's name means depends on the shape: parameters of as many axes go together.
    void run_optimizer(const GoldenCase& golden, GoldenResult& result) {
        std::map<std::size_t, Shape> shapes;
        for (const std::string& name : golden.parameters()) {
            const Shape shape = golden.tensor(GoldenCase::tensor_name("w", name, 0)).shape;
            shapes.emplace(shape.rank(), shape);
        }
        for (const auto& [rank, shape] : shapes) run_rank(golden, result, shape);
    }

    void run_rank(const GoldenCase& golden, GoldenResult& result, const Shape& shape) {
        ScionOptions options = norm_options(golden.text("norm", "Auto"), shape);
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.momentum = 1 - golden.number("momentum", 1.0);
        options.scale = static_cast<float>(golden.number("scale", options.scale));
        options.weight_decay = golden.flag("unconstrained", false) ? 0.0f : 1.0f;
        set_arguments(golden, options);
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}};
        setup.takes = [rank = shape.rank()](const Shape& other) { return other.rank() == rank; };
        run_both<Scion>(golden, result, options, setup);
    }

    // "norm", or a word of the file's name.
    static ScionNorm trust_region_norm(const GoldenCase& golden) {
        const std::string name = golden.text("norm", golden.name());
        for (const auto& [word, norm] : {std::pair{"spectral", ScionNorm::spectral},
                                         {"sign", ScionNorm::sign},
                                         {"inf", ScionNorm::sign},
                                         {"max", ScionNorm::sign},
                                         {"eucl", ScionNorm::frobenius},
                                         {"frob", ScionNorm::frobenius},
                                         {"l2", ScionNorm::frobenius},
                                         {"row", ScionNorm::row},
                                         {"col", ScionNorm::column}})
            if (name.find(word) != std::string::npos) return norm;
        throw std::runtime_error("no norm is known by the name of \"" + name + "\"");
    }

    void run_trust_region(const GoldenCase& golden, GoldenResult& result) {
        ScionOptions options =
            ScionOptions::trust_region(trust_region_norm(golden), static_cast<float>(golden.number("eta")),
                                       static_cast<float>(golden.number("beta")));
        options.momentum = 1 - golden.number("alpha");
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}};
        run_both<Scion>(golden, result, options, setup);
    }

    // lmo.<name>, of `x`, or x.conv and x.vec: one step from zero with rate 1 and no decay.
    void run_oracles(const GoldenCase& golden, GoldenResult& result) {
        for (const std::string& name : golden.tensor_names()) {
            if (!name.starts_with("lmo.")) continue;
            const std::string oracle = name.substr(4);
            const char* input = golden.has_tensor("x") ? "x" : oracle == "spectralconv" ? "x.conv" : "x.vec";
            const GoldenTensor x = golden.tensor(input), expected = golden.tensor(name);
            for (const bool one_workgroup : {true, false}) {
                ScionOptions options = oracle_options(oracle, x.shape);
                options.polar.one_workgroup = one_workgroup;
                options.lr = 1.0f;
                options.weight_decay = 0.0f;
                GuardedBuffer& weight = guarded(std::vector<float>(x.values.size(), 0.0f));
                GuardedBuffer& gradient = guarded(x.floats());
                Scion scion(device(), options);
                scion.add({"w", weight.view(DType::f32, x.shape), gradient.view(DType::f32, x.shape)});
                Plan plan = compile(device(), {&scion});
                plan.allocate();
                plan.initialize();
                plan.run();
                std::vector<double> computed;
                for (const float value : weight.floats()) computed.push_back(-static_cast<double>(value));
                // Newton-Schulz in float32: 3e-6, ten times as much; the others round a few times.
                const bool spectral = oracle.starts_with("spectral");
                result.add(name, frobenius_error(computed, expected.values), spectral ? 3e-5 : 6e-7);
            }
        }
    }

    static ScionOptions oracle_options(const std::string& oracle, const Shape& shape) {
        if (oracle == "spectral" || oracle == "spectralconv") return norm_options("Spectral", shape);
        if (oracle == "biasrms") return norm_options("BiasRMS", shape);
        ScionOptions options = norm_options("Auto", shape);
        const auto is = [&](const char* name, ScionNorm norm, ScionScale scale, bool transpose = false) {
            if (oracle != name) return false;
            options.norm = norm;
            options.norm_scale = scale;
            options.transpose = transpose;
            return true;
        };
        if (is("spectral_max", ScionNorm::spectral, ScionScale::normalized_max) ||
            is("spectral_unnorm", ScionNorm::spectral, ScionScale::unnormalized) ||
            is("sign", ScionNorm::sign, ScionScale::normalized) ||
            is("sign_unnorm", ScionNorm::sign, ScionScale::unnormalized) ||
            is("colnorm", ScionNorm::column, ScionScale::unnormalized) ||
            is("colnorm_norm", ScionNorm::column, ScionScale::normalized) ||
            is("colnorm_T", ScionNorm::column, ScionScale::unnormalized, true) ||
            is("rownorm", ScionNorm::row, ScionScale::normalized) ||
            is("rownorm_unnorm", ScionNorm::row, ScionScale::unnormalized) ||
            is("rownorm_T", ScionNorm::row, ScionScale::normalized, true))
            return options;
        throw std::runtime_error("oracle \"" + oracle + "\" is not known to this test");
    }
};

TEST_P(ScionGoldenTest, EveryFile) {
    run_golden("scion", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

TEST_P(ScionGoldenTest, EveryNormOfTheTrustRegion) {
    const auto run = [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); };
    for (const auto& [name, norm] : {std::pair{"infinity", ScionNorm::sign},
                                     {"euclidean", ScionNorm::frobenius},
                                     {"row", ScionNorm::row},
                                     {"column", ScionNorm::column}}) {
        ScionOptions options = ScionOptions::trust_region(norm, 0.03f, 0.05f);
        options.momentum = 0.9;
        const ReferenceGolden file({.name = std::string("trust-region-") + name + "-wide",
                                    .hyper = R"({"eta": 0.03, "alpha": 0.1, "beta": 0.05})",
                                    .shape = {6, 11},
                                    .kind = "transcription"},
                                   ScionReference(options, norm, 6, 11));
        EXPECT_TRUE(file.passes(run)) << name;
    }
}

TEST_P(ScionGoldenTest, ArgumentsOfTheNorm) {
    const auto run = [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); };
    ScionOptions rows{.lr = 0.02f, .norm = ScionNorm::row, .norm_scale = ScionScale::unnormalized};
    rows.transpose = true;
    EXPECT_TRUE(ReferenceGolden({.name = "opt-rows",
                                 .hyper = R"({"lr": 0.02, "momentum": 1.0, "norm": "RowNorm",
                                              "norm_kwargs": {"normalized": false, "transpose": true}})",
                                 .shape = {6, 11}},
                                ScionReference(rows, ScionNorm::row, 6, 11))
                    .passes(run));
    ScionOptions most{.lr = 0.02f, .norm_scale = ScionScale::normalized_max};
    most.polar.coefficients = newton_schulz_coefficients("muon", 3);
    EXPECT_TRUE(ReferenceGolden({.name = "opt-max",
                                 .hyper = R"({"lr": 0.02, "norm": "Spectral", "unconstrained": false,
                                              "norm_kwargs": {"max": true, "steps": 3}})",
                                 .shape = {6, 11}},
                                ScionReference(most, ScionNorm::spectral, 6, 11))
                    .passes(run));
}

// Norms are found for each parameter of a file.
TEST_P(ScionGoldenTest, SeveralParametersOfOneFile) {
    const auto run = [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); };
    expect_several_parameters("scion", {"opt-constrained-tall", "opt-constrained-wide"}, "momentum", run);
}

HERON_DEVICE_TESTS(ScionGoldenTest);

}  // namespace
}  // namespace heron::test
