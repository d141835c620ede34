// SPDX-License-Identifier: MIT
// Muon's views, factors and forms of iteration, against float64.
#include <gtest/gtest.h>

#include <cmath>

#include "optim/matrix_blocks.hpp"
#include "optim/reference.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

constexpr double kU = 0x1p-24;

MakeOptimizer muon(const MuonOptions& options) {
    return [=](const Device& device) { return std::make_unique<Muon>(device, options); };
}

double kj_factor(double m, double n) { return std::sqrt(std::max(1.0, m / n)); }

struct ViewCase {
    const char* name;
    Shape shape;
    MatrixView view;
    ConvFactor conv_factor;
    std::vector<ReferenceBlock> blocks;  // with KellerJordan's factor
};

std::vector<ViewCase> view_cases() {
    const auto block = [](std::uint64_t rows, std::uint64_t cols) {
        return ReferenceBlock{rows, cols, kj_factor(static_cast<double>(rows), static_cast<double>(cols))};
    };
    return {
        {"q, k, v",
         {30, 7},
         {.row_splits = {16, 9, 5}},
         ConvFactor::matrix,
         {block(16, 7), block(9, 7), block(5, 7)}},
        {"heads", {21, 5}, {.heads = 3}, ConvFactor::matrix, {block(7, 5), block(7, 5), block(7, 5)}},
        {"experts",
         {4, 9, 5},
         {.batch = true},
         ConvFactor::matrix,
         {block(9, 5), block(9, 5), block(9, 5), block(9, 5)}},
        {"experts of heads",
         {2, 6, 3},
         {.heads = 2, .batch = true},
         ConvFactor::matrix,
         {block(3, 3), block(3, 3), block(3, 3), block(3, 3)}},
        {"layers of experts",
         {2, 2, 3, 5},
         {.batch = true},
         ConvFactor::kernel,
         {block(3, 5), block(3, 5), block(3, 5), block(3, 5)}},
        {"convolution", {40, 3, 3, 3}, {}, ConvFactor::matrix, {block(40, 27)}},
        {"convolution, kernel's factor", {40, 3, 5, 3}, {}, ConvFactor::kernel, {{40, 45, kj_factor(5, 3)}}},
        {"large blocks",
         {260, 91},
         {.row_splits = {130, 130}},
         ConvFactor::matrix,
         {block(130, 91), block(130, 91)}},
        {"large odd blocks",
         {251, 121},
         {.row_splits = {121, 130}},
         ConvFactor::matrix,
         {block(121, 121), block(130, 121)}},
    };
}

class MuonTest : public DeviceTest {
protected:
    // Two steps of a tensor; `relative` bounds the update's Frobenius error per block, beside roundings of W.
    void check_view(const ViewCase& view, MuonOptions options, DType dtype, bool master, double relative) {
        SCOPED_TRACE(std::string(view.name) + " " + to_string(dtype) + (master ? " with master" : ""));
        options.conv_factor = view.conv_factor;
        StepOptions step_options;
        step_options.master_weights = master;
        step_options.ema_decay = 0.5f;
        Training training(device(), muon(options),
                          {{.name = "w",
                            .shape = view.shape,
                            .weight_dtype = dtype,
                            .gradient_dtype = dtype,
                            .view = view.view}},
                          step_options);
        MuonReference reference(options, view.blocks);
        for (unsigned step = 1; step <= 2; ++step) {
            training.draw_gradients(step);
            const std::vector<float> before =
                master ? training.state("w.master") : training.tensor().weight();
            std::vector<double> expected = doubles(before);
            reference.step(expected, doubles(training.tensor().gradient_values()), step);
            training.plan().run();
            const std::vector<float> after = master ? training.state("w.master") : training.tensor().weight();
            const double unit = master ? kU : unit_of(dtype);
            std::size_t at = 0;
            for (const ReferenceBlock& block : view.blocks) {
                double error = 0, update = 0, weight = 0;
                for (std::size_t i = at; i < at + block.rows * block.cols; ++i) {
                    error += std::pow(after[i] - expected[i], 2);
                    update += std::pow(expected[i] - before[i], 2);
                    weight += std::pow(expected[i], 2);
                }
                EXPECT_LE(std::sqrt(error),
                          relative * std::sqrt(update) +
                              (3 * kU + (dtype == DType::f32 || master ? 0 : unit)) * std::sqrt(weight))
                    << "step " << step << ", block at " << at;
                at += block.rows * block.cols;
            }
            ASSERT_EQ(at, expected.size());
        }
    }
};

TEST_P(MuonTest, EveryViewIsItsBlocks) {
    for (const ViewCase& view : view_cases())
        for (const bool one_workgroup : {true, false}) {
            MuonOptions options;
            options.weight_decay = 0.1f;
            options.polar.one_workgroup = one_workgroup;
            for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
                check_view(view, options, dtype, false, 1e-4);
            check_view(view, options, DType::f16, true, 1e-4);
        }
}

// Newton-Schulz multiplies the error of a 16-bit iterate: f16 stays below 0.02, bf16 below 0.15, two words of
// f16 where f32 does, two of f32 below that.
TEST_P(MuonTest, SixteenBitIteratesAndTheGramFormStayWithinTheirClass) {
    const ViewCase wide{"wide", {96, 256}, {}, ConvFactor::matrix, {{96, 256, 1.0}}};
    const ViewCase tall{"tall", {250, 91}, {}, ConvFactor::matrix, {{250, 91, kj_factor(250, 91)}}};
    // Each precision with one orientation: SwiftShader takes ten seconds for the pipelines of each pair.
    MuonOptions options;
    options.polar.one_workgroup = false;
    options.polar.precision = DType::f16;
    check_view(wide, options, DType::f32, false, 0.02);
    options.polar.words = 2;
    check_view(wide, options, DType::f32, false, 1e-4);
    options.polar.words = 1;
    options.polar.precision = DType::bf16;
    check_view(tall, options, DType::f32, false, 0.15);
    options.polar.precision = DType::f32;
    options.polar.words = 2;
    check_view(tall, options, DType::f32, false, 2e-6);
    check_view(wide, options, DType::f32, false, 2e-6);
    options.polar.words = 1;
    options.polar.form = PolarForm::gram;
    check_view(wide, options, DType::f32, false, 1e-4);
    check_view(tall, options, DType::f32, false, 1e-4);
}

TEST_P(MuonTest, PresetsAreTheirAuthorsDefaults) {
    const MuonOptions kj = MuonOptions::keller_jordan(), torch = MuonOptions::torch(),
                      moon = MuonOptions::moonlight(), dion = MuonOptions::dion();
    EXPECT_EQ(kj.lr, 0.02f);
    EXPECT_EQ(kj.conv_factor, ConvFactor::kernel);
    EXPECT_EQ(torch.lr, 1e-3f);
    EXPECT_EQ(torch.weight_decay, 0.1f);
    EXPECT_EQ(torch.polar.norm_rule, NormRule::clamped);
    EXPECT_EQ(moon.momentum_rule, MomentumRule::sum);
    EXPECT_EQ(moon.shape_factor, ShapeFactor::match_rms);
    EXPECT_EQ(moon.weight_decay, 0.1f);
    EXPECT_EQ(dion.lr, 0.01f);
    EXPECT_FALSE(dion.nesterov);
    EXPECT_EQ(dion.shape_factor, ShapeFactor::sqrt_ratio);
    EXPECT_EQ(dion.polar.norm_factor, 1.02);
    EXPECT_EQ(dion.polar.eps, 1e-8);
    EXPECT_EQ(dion.polar.coefficients.size(), 5u);
    EXPECT_EQ(dion.polar.coefficients[0].a, 8.156554524902461);
}

TEST_P(MuonTest, ShapeFactorsFollowTheirFormulas) {
    Parameter parameter;
    parameter.weight.shape = {12, 3};
    const auto factor = [&](ShapeFactor rule) {
        return matrix_blocks("Muon", parameter, rule).at(0).shape_factor;
    };
    EXPECT_DOUBLE_EQ(factor(ShapeFactor::none), 1.0);
    EXPECT_DOUBLE_EQ(factor(ShapeFactor::max_one_sqrt_ratio), 2.0);
    EXPECT_DOUBLE_EQ(factor(ShapeFactor::sqrt_ratio), 2.0);
    EXPECT_DOUBLE_EQ(factor(ShapeFactor::match_rms), 0.2 * std::sqrt(12.0));
    EXPECT_DOUBLE_EQ(factor(ShapeFactor::spectral), std::sqrt(12.0));
    parameter.weight.shape = {3, 12};
    EXPECT_DOUBLE_EQ(factor(ShapeFactor::max_one_sqrt_ratio), 1.0);
    EXPECT_DOUBLE_EQ(factor(ShapeFactor::sqrt_ratio), 0.5);
}

// A zero gradient later on does not stop the movement: orthogonalization removes the size of the momentum.
TEST_P(MuonTest, ZeroGradientAfterTheFirstStepStillMovesAtFullSize) {
    Training training(device(), muon({}), {{.name = "w", .shape = {20, 30}}});
    const auto moved = [&] {
        const std::vector<float> before = training.tensor().weight();
        training.plan().run();
        double sum = 0;
        for (std::size_t i = 0; i < before.size(); ++i)
            sum += std::pow(training.tensor().weight()[i] - before[i], 2);
        return std::sqrt(sum);
    };
    const double first = moved();
    training.set_state("w.momentum", training.state("w.momentum"));
    training.tensor().set_gradient(std::vector<float>(600, 0.0f));
    const double second = moved();
    EXPECT_GT(second, 0.9 * first);
    EXPECT_LT(second, 1.1 * first);
}

TEST_P(MuonTest, DescribeNamesTheFormOfEveryBlock) {
    Training training(device(), muon({}),
                      {{.name = "small", .shape = {8, 8}},
                       {.name = "large", .shape = {300, 310}},
                       {.name = "long", .shape = {100, 300}}});
    const std::string text = training.plan().describe();
    for (const char* word : {"gradient_stats", "advance", "muon_momentum", "muon_normalize",
                             "polar_workgroup", "muon_update", "standard form", "gram form"})
        EXPECT_NE(text.find(word), std::string::npos) << word << " in " << text;
}

HERON_DEVICE_TESTS(MuonTest);

}  // namespace
}  // namespace heron::test
