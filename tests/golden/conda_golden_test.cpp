// SPDX-License-Identifier: MIT
// Conda against its authors' code.
#include <algorithm>
#include <map>
#include <stdexcept>

#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class CondaGoldenTest : public OptimizerGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        CondaOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        const std::vector<double> betas = golden.numbers("betas", {options.beta1, options.beta2});
        options.beta1 = betas.at(0);
        options.beta2 = betas.at(1);
        options.eps = static_cast<float>(golden.number("eps", options.eps));
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        // A group without a gap is plain Adam.
        options.gap = static_cast<std::uint32_t>(golden.number("update_proj_gap", 0));
        options.scale = static_cast<float>(golden.number("scale", options.scale));
        if (const std::string type = golden.text("proj_type", "std"); type != "std")
            throw std::runtime_error("proj_type \"" + type + "\" is not known to this test");
        OptimizerGolden setup;
        setup.make = [&](const Device& on) { return std::make_unique<Conda>(on, options); };
        setup.element_wise = options.gap == 0;
        setup.lr = options.lr;
        setup.states = {{"m", "m"}, {"v", "v"}};
        setup.prepare = [&](Plan&, const std::string& in_file, const std::string& in_plan, int t) {
            const GoldenTensor g = golden.tensor(GoldenCase::tensor_name("g", in_file, t));
            if (options.gap > 0 && g.shape.rank() >= 2) follow(in_plan, g, options, t);
        };
        setup.compare_state = [&](GoldenResult& to, const Plan& plan, const std::string& state,
                                  const GoldenTensor& expected, const std::string& in_plan, int t) {
            if (state != "v" || options.gap == 0 || expected.shape.rank() < 2) return false;
            std::vector<float> values(expected.values.size());
            plan.read_state(in_plan + ".v", std::as_writable_bytes(std::span(values)));
            to.add("v of step " + std::to_string(t),
                   maximum_error(std::vector<double>(values.begin(), values.end()), expected.values),
                   6e-6 + 8 * kUnit * bases_.at(in_plan).closeness);
            return true;
        };
        bases_.clear();
        run_case(golden, result, setup);
    }

private:
    // v lives in the singular basis of m, whose vectors are only as good as singular values are apart: m
    // itself is rounded to f32, and svd() adds as much, together at most 4 u of its norm; the vectors turn by
    // that over the distance of their singular values, and squares of coefficients change by twice the angle.
    struct Basis {
        std::vector<double> m;
        double closeness = 0;  // the largest singular value over the smallest distance, worst so far
    };

    void follow(const std::string& parameter, const GoldenTensor& g, const CondaOptions& options, int t) {
        Basis& basis = bases_[parameter];
        basis.m.resize(g.values.size(), 0.0);
        for (std::size_t i = 0; i < basis.m.size(); ++i)
            basis.m[i] = options.beta1 * basis.m[i] + (1 - options.beta1) * g.values[i];
        if ((t - 1) % static_cast<int>(options.gap) != 0) return;
        const Vector values = singular_values(matrix_of(basis.m, g.shape[0], g.shape.count() / g.shape[0]));
        for (Eigen::Index i = 0; i + 1 < values.size(); ++i)
            basis.closeness = std::max(basis.closeness, values[0] / (values[i] - values[i + 1]));
    }

    std::map<std::string, Basis> bases_;  // by the parameter's name in the plan
};

TEST_P(CondaGoldenTest, EveryFile) {
    run_golden("conda", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

TEST_P(CondaGoldenTest, SeveralParametersOfOneFile) {
    expect_several_parameters(
        "conda", {"gap2-wide", "gap2-square", "gap2-tall"}, "v",
        [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

HERON_DEVICE_TESTS(CondaGoldenTest);

}  // namespace
}  // namespace heron::test
