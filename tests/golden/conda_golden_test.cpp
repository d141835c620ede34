// SPDX-License-Identifier: MIT
// Conda against its authors' code.
#include <map>
#include <stdexcept>

#include "golden/conda_conditioning.hpp"
#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_subspace.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class CondaGoldenTest : public OptimizerGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        CondaOptions options;
        set_adam_options(golden, options);
        // A group without a gap is plain Adam.
        options.gap = static_cast<std::uint32_t>(golden.number("update_proj_gap", 0));
        options.scale = static_cast<float>(golden.number("scale", options.scale));
        options.side = side_of(golden);
        options.bias_correction = golden.flag("correct_bias", true);
        OptimizerGolden setup;
        setup.make = [&](const Device& on) { return std::make_unique<Conda>(on, options); };
        setup.element_wise = options.gap == 0;
        setup.lr = options.lr;
        setup.states = {{"m", "m"}, {"v", "v"}};
        setup.prepare = [&](Plan&, const std::string& in_file, const std::string& in_plan, int t) {
            const GoldenTensor g = golden.tensor(GoldenCase::tensor_name("g", in_file, t));
            if (options.gap > 0 && g.shape.rank() >= 2) follow(in_plan, g, options, t);
        };
        setup.conditioning = [&](const std::string& in_plan, int) {
            const auto found = followed_.find(in_plan);
            return found == followed_.end() ? 0.0 : found->second.update;
        };
        setup.compare_state = [&](GoldenResult& to, const Plan& plan, const std::string& state,
                                  const GoldenTensor& expected, const std::string& in_plan, int t) {
            if (state != "v" || options.gap == 0 || expected.shape.rank() < 2) return false;
            // v lives in the basis of m, and squares of coefficients change by twice the angle.
            to.add("v of step " + std::to_string(t),
                   maximum_error(read_state(plan, in_plan + ".v", expected.values.size()), expected.values),
                   6e-6 + 8 * kUnit * followed_.at(in_plan).matrix.closeness());
            return true;
        };
        followed_.clear();
        run_case(golden, result, setup);
    }

private:
    // Of several parameters: the published code takes only square ones where the side is not the shorter one.
    static CondaSide side_of(const GoldenCase& golden) {
        const std::string type = golden.text("proj_type", "std");
        const Shape shape = golden.tensor(GoldenCase::tensor_name("w", golden.parameters().at(0), 0)).shape;
        if (type == "std" || shape.rank() < 2) return CondaSide::shorter;
        if (type == "reverse_std") return CondaSide::longer;
        const bool tall = shape[0] >= shape.count() / shape[0];
        if (type == "right") return tall ? CondaSide::shorter : CondaSide::longer;
        if (type == "left") return tall ? CondaSide::longer : CondaSide::shorter;
        throw std::runtime_error("proj_type \"" + type + "\" is not known to this test");
    }

    struct Followed {
        CondaConditioning matrix;
        double update = 0;  // of the last step
    };

    void follow(const std::string& parameter, const GoldenTensor& g, const CondaOptions& options, int t) {
        Matrix gradient = matrix_of(g.values, g.shape[0], g.shape.count() / g.shape[0]);
        // Square matrices with the basis on the left are those with it on the right, transposed.
        if ((gradient.rows() >= gradient.cols()) != (options.side == CondaSide::shorter))
            gradient = Matrix(gradient.transpose());
        if (t == 1)
            followed_.insert_or_assign(
                parameter, Followed{CondaConditioning(options, gradient.rows(), gradient.cols())});
        Followed& followed = followed_.at(parameter);
        followed.update = followed.matrix.step(gradient, t);
    }

    std::map<std::string, Followed> followed_;  // by the parameter's name in the plan
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

// Of a large square matrix some singular values are close, and some coefficients near zero.
TEST_P(CondaGoldenTest, LargeSquareMatrices) {
    const CondaOptions options{.lr = 0.01f, .beta2 = 0.99, .gap = 2, .scale = 0.25f};
    for (const std::uint32_t seed : {1u, 2u, 3u}) {
        const ReferenceGolden file(
            {.name = "gap2-square",
             .hyper =
                 R"({"lr": 0.01, "betas": [0.9, 0.99], "eps": 1e-8, "update_proj_gap": 2, "scale": 0.25})",
             .shape = {48, 48},
             .states = {{"m", "m", {48, 48}}, {"v", "v", {48, 48}}},
             .steps = 3,
             .seed = seed},
            CondaReference(options, {48, 48}));
        EXPECT_TRUE(file.passes([&](const GoldenCase& golden, GoldenResult& result) {
            run_file(golden, result);
        })) << seed;
    }
}

// proj_type "reverse_std", and "left" for the same.
TEST_P(CondaGoldenTest, BasesOnTheLeftOfSquareMatrices) {
    const CondaOptions options{.lr = 0.01f, .beta2 = 0.99, .gap = 2, .side = CondaSide::longer};
    const auto passes = [&](const std::string& type) {
        const std::string hyper =
            R"({"lr": 0.01, "betas": [0.9, 0.99], "eps": 1e-8, "update_proj_gap": 2, "scale": 1.0, "proj_type": ")";
        const ReferenceGolden file({.name = "heron_conda_left",
                                    .hyper = hyper + type + "\"}",
                                    .shape = {8, 8},
                                    .states = {{"m", "m", {8, 8}}, {"v", "v", {8, 8}}},
                                    .steps = 3},
                                   CondaReference(options, {8, 8}));
        return file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
    };
    EXPECT_TRUE(passes("reverse_std"));
    EXPECT_TRUE(passes("left"));
    EXPECT_FALSE(passes("std"));
    EXPECT_FALSE(passes("full"));
}

// correct_bias, of matrices and of vectors.
TEST_P(CondaGoldenTest, WithoutBiasCorrection) {
    const CondaOptions options{.lr = 0.01f, .beta2 = 0.99, .bias_correction = false, .gap = 2};
    for (const Shape& shape : {Shape{6, 10}, Shape{7}}) {
        const auto passes = [&](const std::string& correct_bias) {
            const std::string hyper =
                R"({"lr": 0.01, "betas": [0.9, 0.99], "eps": 1e-8, "update_proj_gap": 2, "correct_bias": )";
            const ReferenceGolden file({.name = "heron_conda_bias",
                                        .hyper = hyper + correct_bias + "}",
                                        .shape = shape,
                                        .states = {{"m", "m", shape}, {"v", "v", shape}},
                                        .steps = 3},
                                       CondaReference(options, shape));
            return file.passes(
                [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
        };
        EXPECT_TRUE(passes("false")) << shape.rank();
        EXPECT_FALSE(passes("true")) << shape.rank();
    }
}

HERON_DEVICE_TESTS(CondaGoldenTest);

}  // namespace
}  // namespace heron::test
