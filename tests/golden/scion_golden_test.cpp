// SPDX-License-Identifier: MIT
// Scion's oracles and optimizer against the authors' code, and the non-Euclidean trust region.
#include <stdexcept>

#include "golden/matrix_golden.hpp"

namespace heron::test {
namespace {

class ScionGoldenTest : public MatrixGoldenTest {
protected:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        if (golden.has("eta")) return run_trust_region(golden, result);
        if (golden.has_tensor("w.0")) return run_optimizer(golden, result);
        run_oracles(golden, result);
    }

private:
    // The authors' names, with the scale that is their default.
    static ScionOptions norm_options(const std::string& name, const Shape& shape) {
        ScionOptions options;
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

    void run_optimizer(const GoldenCase& golden, GoldenResult& result) {
        ScionOptions options = norm_options(golden.text("norm", "Auto"), golden.tensor("w.0").shape);
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.momentum = 1 - golden.number("momentum", 1.0);
        options.scale = static_cast<float>(golden.number("scale", options.scale));
        options.weight_decay = golden.flag("unconstrained", false) ? 0.0f : 1.0f;
        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}};
        run_both<Scion>(golden, result, options, setup);
    }

    void run_trust_region(const GoldenCase& golden, GoldenResult& result) {
        ScionNorm norm = ScionNorm::spectral;
        if (golden.name().find("spectral") == std::string::npos)
            throw std::runtime_error("no norm is known by this name");
        ScionOptions options = ScionOptions::trust_region(norm, static_cast<float>(golden.number("eta")),
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
        ScionOptions options;
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

HERON_DEVICE_TESTS(ScionGoldenTest);

}  // namespace
}  // namespace heron::test
