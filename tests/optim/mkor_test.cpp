// SPDX-License-Identifier: MIT
// MKOR on layers of every kind against float64; 16-bit inverses, loss scales, captures that are no numbers,
// the switch to first order. What holds for every optimizer: optimizer_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "optim/reference_mkor.hpp"
#include "optim/test_layer.hpp"

namespace heron::test {
namespace {

class MkorTest : public LayersTest {
protected:
    Plan plan_of(const MkorOptions& options, const StepOptions& step = {},
                 const std::vector<LayerCase>& cases = layers_of_every_kind()) {
        return LayersTest::plan_of(std::make_unique<Mkor>(device(), options), cases, step);
    }
    static MkorOptions every_step() {
        MkorOptions options;
        options.lr = 0.2f;
        options.factor_decay = 0.5;
        options.refresh.interval = 1;
        return options;
    }
    // What the loss of a layer was divided by; `none` stands for all rows, of a convolution for the samples.
    static double loss_terms(const LayerCase& of, const TestLayer& layer) {
        const double n = static_cast<double>(layer.samples()), r = static_cast<double>(layer.positions());
        switch (of.loss) {
            case LossReduction::none:
                return of.patches ? n : n * r;
            case LossReduction::sum:
                return 1;
            case LossReduction::mean_over_batch:
                return n;
            case LossReduction::mean_over_positions:
                return n * r;
        }
        return 0;
    }
    void expect_float64(const MkorOptions& options, double bound) {
        const std::vector<LayerCase> cases = layers_of_every_kind();
        Plan plan = plan_of(options);
        for (TestLayer& layer : layers_) layer.draw(0);
        struct Group {
            Matrix left, right, expected, first, momentum;
        };
        std::vector<std::vector<Group>> groups(layers_.size());
        for (std::size_t l = 0; l < layers_.size(); ++l)
            for (std::uint64_t g = 0; g < layers_[l].groups(); ++g) {
                const Matrix w = layers_[l].parameters(g);
                groups[l].push_back({Matrix::Identity(w.rows(), w.rows()),
                                     Matrix::Identity(w.cols(), w.cols()), w, w,
                                     Matrix::Zero(w.rows(), w.cols())});
            }
        for (unsigned t = 1; t <= 3; ++t) {
            for (std::size_t l = 0; l < layers_.size(); ++l) {
                TestLayer& layer = layers_[l];
                layer.draw(100 * t + static_cast<unsigned>(l));
                // Of all groups together.
                double g_weight = 0, g_bias = 0, d_weight = 0, d_bias = 0;
                std::vector<Matrix> directions;
                for (std::uint64_t g = 0; g < layer.groups(); ++g) {
                    Group& group = groups[l][g];
                    const double positions =
                        layer.reduces() ? static_cast<double>(layer.positions()) : 1.0;  // sums of s
                    group.right =
                        mkor_renewed(options, group.right, mkor_mean(options, layer.inputs(g), 1), t);
                    group.left = mkor_renewed(options, group.left,
                                              mkor_mean(options, layer.output_gradients(g),
                                                        loss_terms(cases[l], layer) / positions),
                                              t);
                    const Matrix gradient = layer.gradient(g);
                    directions.push_back(group.left * gradient * group.right);
                    const Eigen::Index n = layer.n();
                    g_weight += gradient.leftCols(n).squaredNorm();
                    d_weight += directions[g].leftCols(n).squaredNorm();
                    g_bias += gradient.rightCols(gradient.cols() - n).squaredNorm();
                    d_bias += directions[g].rightCols(gradient.cols() - n).squaredNorm();
                }
                const double ratio =
                    (std::sqrt(g_weight) + std::sqrt(g_bias)) / (std::sqrt(d_weight) + std::sqrt(d_bias));
                for (std::uint64_t g = 0; g < layer.groups(); ++g) {
                    Group& group = groups[l][g];
                    group.momentum = 0.9 * group.momentum + ratio * directions[g];
                    group.expected -= static_cast<double>(options.lr) * group.momentum;
                }
            }
            plan.run();
        }
        for (std::size_t l = 0; l < layers_.size(); ++l)
            for (std::uint64_t g = 0; g < layers_[l].groups(); ++g) {
                const Group& group = groups[l][g];
                EXPECT_LE((layers_[l].parameters(g) - group.expected).norm(),
                          bound * (group.expected - group.first).norm() + 9 * 0x1p-24 * group.expected.norm())
                    << "layer " << l << ", group " << g;
            }
    }
};

TEST_P(MkorTest, LayersOfEveryKindMatchFloat64) {
    for (const MkorRecurrence recurrence :
         {MkorRecurrence::exact, MkorRecurrence::published, MkorRecurrence::printed}) {
        SCOPED_TRACE(static_cast<int>(recurrence));
        MkorOptions options = every_step();
        options.recurrence = recurrence;
        options.norm_threshold = 2.5f;  // from the third refresh on
        expect_float64(options, 1e-5);
    }
}

// Rounded at every refresh, two inverses in a direction; means of 256 rows and more come in pieces.
TEST_P(MkorTest, SixteenBitInversesMatchFloat64ToTheirRounding) {
    for (const DType dtype : {DType::f16, DType::bf16}) {
        SCOPED_TRACE(to_string(dtype));
        MkorOptions options = every_step();
        options.factor_dtype = dtype;
        expect_float64(options, 3 * 2 * 2 * unit_of(dtype));
        EXPECT_EQ(plan_of(options).state_view("sum.weight.L_inverse").dtype, dtype);
    }
}

TEST_P(MkorTest, MeansOfManyRowsComeInPieces) {
    const LayerCase of{"long", {3, 5}, {1500, 5}, {1500, 3}};
    const MkorOptions options = every_step();
    Plan plan = plan_of(options, {}, {of});
    layers_[0].draw(1);
    plan.run();
    const Matrix expected =
        mkor_renewed(options, Matrix::Identity(6, 6), mkor_mean(options, layers_[0].inputs(0), 1), 1);
    const std::vector<float> r = floats(plan, "long.weight.R_inverse");
    for (Eigen::Index i = 0; i < 36; ++i)
        EXPECT_NEAR(static_cast<double>(r[static_cast<std::size_t>(i)]), expected.data()[i], 1e-6);
    // Symmetric to the bit.
    for (std::size_t i = 0; i < 6; ++i)
        for (std::size_t j = 0; j < i; ++j) EXPECT_EQ(r[6 * i + j], r[6 * j + i]);
}

TEST_P(MkorTest, LossScalesAreDividedOut) {
    std::vector<std::vector<float>> results;
    for (const float scale : {1.0f, 1024.0f}) {
        StepOptions step;
        step.loss_scale.initial = scale;
        Plan plan = plan_of(every_step(), step);
        for (unsigned t = 1; t <= 2; ++t) {
            for (TestLayer& layer : layers_) layer.draw(t, static_cast<double>(scale));
            plan.run();
        }
        results.push_back(weights());
    }
    EXPECT_EQ(results[0], results[1]);
}

// Two equal micro-batches have the mean of one, to the bit, whatever the loss scale.
TEST_P(MkorTest, EqualMicroBatchesAreOneBatch) {
    std::vector<std::vector<float>> results;
    for (const int batches : {0, 2}) {
        StepOptions step;
        step.accumulate = batches > 0;
        step.loss_scale.initial = batches > 0 ? 1024.0f : 1.0f;
        Plan plan = plan_of(every_step(), step);
        for (unsigned t = 1; t <= 2; ++t) {
            for (TestLayer& layer : layers_) layer.draw(t, static_cast<double>(step.loss_scale.initial));
            for (int batch = 0; batch < batches; ++batch) plan.wait(plan.submit_accumulate());
            plan.run();
        }
        results.push_back(weights());
    }
    EXPECT_EQ(results[0], results[1]);
}

// Those of a step that was skipped do not count, and the next step's do.
TEST_P(MkorTest, MeansAreOverTheRowsOfAllMicroBatches) {
    const LayerCase of{"long", {3, 5}, {300, 5}, {300, 3}};
    MkorOptions options = every_step();
    options.clip = 1.5f;
    StepOptions step;
    step.accumulate = true;
    Plan plan = plan_of(options, step, {of});
    TestLayer& layer = layers_[0];
    Matrix right = Matrix::Identity(6, 6), left = Matrix::Identity(3, 3);
    for (unsigned t = 1; t <= 2; ++t) {
        layer.draw(1000 * t, std::numeric_limits<double>::quiet_NaN());
        plan.wait(plan.submit_accumulate());
        plan.run();
        EXPECT_EQ(status(plan).skipped, t);
        Matrix a = Matrix::Zero(6, 1), s = Matrix::Zero(3, 1);
        for (unsigned micro = 0; micro < 3; ++micro) {
            layer.draw(100 * t + 10 * micro);
            a += mkor_mean(options, layer.inputs(0), 1) / 3;
            s += mkor_mean(options, layer.output_gradients(0), loss_terms(of, layer)) / 3;
            plan.wait(plan.submit_accumulate());
        }
        plan.run();
        right = mkor_renewed(options, right, a, t);
        left = mkor_renewed(options, left, s, t);
        for (const bool inputs : {true, false}) {
            const Eigen::Index order = inputs ? 6 : 3;
            const Matrix found =
                matrix_of(doubles(floats(plan, inputs ? "long.weight.R_inverse" : "long.weight.L_inverse")),
                          order, order);
            EXPECT_LE((found - (inputs ? right : left)).norm(), 1e-5 * found.norm()) << "step " << t;
        }
    }
}

// Elements beyond +-clip count as that; NaNs leave the refreshes out.
TEST_P(MkorTest, CapturesOfAnySizeGiveFiniteSteps) {
    MkorOptions options = every_step();
    options.factor_decay = 0.95;  // above the blend: inverses stay bounded
    Plan plan = plan_of(options);
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38f, 1e-45f}) {
        for (TestLayer& layer : layers_) {
            layer.draw(1);
            layer.set_inputs(value);
        }
        for (int repeat = 0; repeat < 20; ++repeat) plan.run();
        for (const float weight : weights()) ASSERT_TRUE(std::isfinite(weight));
        for (const float element : floats(plan, "linear.weight.R_inverse"))
            ASSERT_TRUE(std::isfinite(element));
    }
    EXPECT_EQ(words(plan, "linear.weight.R_inverse_failures"), std::vector<std::uint32_t>{20});
    // An inverse that is none: v^T P v is negative.
    std::vector<float> negative(25, 0.0f);
    for (std::size_t i = 0; i < 25; i += 6) negative[i] = -1.0f;
    plan.write_state("linear.weight.R_inverse", std::as_bytes(std::span(negative)));
    layers_[0].draw(1);
    plan.run();
    EXPECT_EQ(words(plan, "linear.weight.R_inverse_failures"), std::vector<std::uint32_t>{21});
    EXPECT_EQ(floats(plan, "linear.weight.R_inverse"), negative);
}

// MKOR-H: first-order steps are SGD's, leave inverses alone, and can end again; checkpoints keep the switch.
TEST_P(MkorTest, SecondOrderCanBeSwitchedOffAndOn) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_mkor_" + std::to_string(GetParam().index) + ".safetensors");
    const std::vector<LayerCase> cases{layers_of_every_kind()[0]};
    Plan plan = plan_of(every_step(), {}, cases);
    layers_[0].draw(1);
    plan.run();
    const std::vector<float> inverse = floats(plan, "linear.weight.L_inverse");
    const Matrix before = layers_[0].parameters(0), momentum = 5.0 * (layers_[0].parameters(0) - before);
    std::vector<float> zeros(20, 0.0f);
    plan.write_state("linear.weight.momentum", std::as_bytes(std::span(zeros)));
    zeros.resize(5);
    plan.write_state("linear.bias.momentum", std::as_bytes(std::span(zeros)));
    set_second_order(plan, "mkor", false);
    plan.run();
    EXPECT_EQ(floats(plan, "linear.weight.L_inverse"), inverse);
    EXPECT_LE((layers_[0].parameters(0) - (before - 0.2f * layers_[0].gradient(0))).norm(), 1e-6);
    save_checkpoint(plan, file);
    set_second_order(plan, "mkor", true);
    load_checkpoint(plan, file);
    plan.run();
    EXPECT_EQ(floats(plan, "linear.weight.L_inverse"), inverse);
    set_second_order(plan, "mkor", true);
    plan.run();
    EXPECT_NE(floats(plan, "linear.weight.L_inverse"), inverse);
    EXPECT_THROW(set_second_order(plan, "sgd", false), Error);
    std::filesystem::remove(file);

    MkorOptions first = every_step();
    first.second_order = false;
    Plan plain = plan_of(first, {}, cases);
    layers_[0].draw(1);
    plain.run();
    EXPECT_EQ(
        floats(plain, "linear.weight.L_inverse"),
        (std::vector<float>{1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}));
}

// Steps that were recorded once go over to first order when the losses say so, and a checkpoint from before
// goes over with the same loss.
TEST_P(MkorTest, LossesEndSecondOrderInWhatIsRecorded) {
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_mkor_h_" + std::to_string(GetParam().index) + ".safetensors");
    MkorOptions options = every_step();
    options.switching = MkorSwitch{.window = 1, .share = 0.5f, .patience = 2};
    const std::vector<LayerCase> cases{layers_of_every_kind()[0]};
    Plan plan = plan_of(options, {}, cases);
    Commands commands(device());
    const VkCommandBuffer recorded = commands.begin();
    plan.record(recorded);
    commands.end(recorded);
    layers_[0].draw(1);
    const auto moves = [&] {
        const std::vector<float> before = floats(plan, "linear.weight.L_inverse");
        commands.submit(recorded);
        return floats(plan, "linear.weight.L_inverse") != before;
    };
    // Falls of 2, 1, 0.9, 0.8: the last two are poor.
    const double losses[] = {5.0, 3.0, 2.0, 1.1, 0.3};
    for (int t = 0; t < 4; ++t) {
        EXPECT_TRUE(moves());
        EXPECT_TRUE(report_loss(plan, "mkor", losses[t])) << t;
    }
    save_checkpoint(plan, file);
    EXPECT_FALSE(report_loss(plan, "mkor", losses[4]));
    EXPECT_FALSE(moves());
    EXPECT_FALSE(report_loss(plan, "mkor", -100.0));
    set_second_order(plan, "mkor", true);  // and the rule begins anew
    EXPECT_TRUE(moves());
    EXPECT_TRUE(report_loss(plan, "mkor", losses[4]));
    EXPECT_TRUE(report_loss(plan, "mkor", losses[4]));
    EXPECT_FALSE(report_loss(plan, "mkor", losses[4]));
    load_checkpoint(plan, file);
    EXPECT_TRUE(moves());
    EXPECT_FALSE(report_loss(plan, "mkor", losses[4]));

    // Without a rule, and of another plan's.
    EXPECT_THROW(report_loss(plan, "sgd", 1.0), Error);
    Plan plain = plan_of(every_step(), {}, cases);
    EXPECT_THROW(report_loss(plain, "mkor", 1.0), Error);
    EXPECT_THROW(load_checkpoint(plain, file), Error);
    load_checkpoint(plain, file, ChangedOptions::accept);
    save_checkpoint(plain, file);
    plan = plan_of(options, {}, cases);
    load_checkpoint(plan, file, ChangedOptions::accept);
    EXPECT_TRUE(report_loss(plan, "mkor", losses[4]));
    std::filesystem::remove(file);
}

TEST_P(MkorTest, LevelsDoNotDependOnTheNumberOfLayers) {
    const std::vector<LayerCase> one{layers_of_every_kind()[0]};
    std::vector<LayerCase> many = one;
    for (int copy = 0; copy < 4; ++copy) {
        many.push_back(one[0]);
        many.back().name += std::to_string(copy);
    }
    const std::uint64_t dispatches = plan_of(every_step(), {}, one).dispatch_count();
    EXPECT_EQ(plan_of(every_step(), {}, many).dispatch_count(), dispatches);
}

HERON_DEVICE_TESTS(MkorTest);

}  // namespace
}  // namespace heron::test
