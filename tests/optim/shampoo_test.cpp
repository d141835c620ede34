// SPDX-License-Identifier: MIT
// Shampoo: shapes, starts and staggered refreshes, refreshes without a root, options.
#include <gtest/gtest.h>

#include <cmath>

#include "optim/optimizer_checks.hpp"
#include "optim/reference_shampoo.hpp"
#include "optim/tensor_blocks.hpp"

namespace heron::test {
namespace {

MakeOptimizer shampoo(const ShampooOptions& options) {
    return [=](const Device& device) { return std::make_unique<Shampoo>(device, options); };
}

TEST(TensorBlocks, SmallNeighboursAreMergedFromTheLast) {
    EXPECT_EQ(merge_axes(Shape{4, 5}, 1024, 1), (Shape{20}));
    EXPECT_EQ(merge_axes(Shape{4, 5}, 1024, 2), (Shape{4, 5}));
    EXPECT_EQ(merge_axes(Shape{8, 3, 3, 3}, 16, 1), (Shape{8, 3, 9}));
    EXPECT_EQ(merge_axes(Shape{8, 3, 3, 3}, 1024, 2), (Shape{8, 27}));
    EXPECT_EQ(merge_axes(Shape{1, 7, 1}, 4, 2), (Shape{7}));
    EXPECT_EQ(merge_axes(Shape{}, 4, 1), (Shape{1}));
    EXPECT_EQ(merge_axes(Shape{0, 3}, 16, 1), (Shape{0}));
}

TEST(TensorBlocks, BlocksCoverTheTensorInRowMajorOrder) {
    const std::vector<TensorBlock> blocks = tensor_blocks(Shape{48, 80}, 32);
    ASSERT_EQ(blocks.size(), 6u);
    EXPECT_EQ(blocks[2].extents, (Shape{32, 16}));
    EXPECT_EQ(blocks[2].first[1], 64u);
    EXPECT_EQ(blocks[3].extents, (Shape{16, 32}));
    EXPECT_EQ(blocks[3].first[0], 32u);
    EXPECT_TRUE(tensor_blocks(Shape{0, 4}, 32).empty());
}

class ShampooTest : public DeviceTest {};

// Three steps of what is grafted, then roots one block after the other: a parameter goes over when all of its
// blocks have one. Without stagger all in the fourth step.
TEST_P(ShampooTest, RefreshesBeginAtTheStartAndTakeTurns) {
    ShampooOptions options;
    options.refresh = {.interval = 3, .first = 4, .turn_flops = 0};
    options.epsilon = 1e-2f;
    options.beta2 = 0.9;
    options.exponents[2] = {0.5, 0.0};
    const std::vector<Shape> shapes{{5, 4}, {7}, {3, 6}};
    struct Case {
        bool stagger;
        std::uint32_t block_size;
        ShampooGraft graft;
    };
    for (const Case& c : {Case{true, 1024, ShampooGraft::adagrad}, Case{true, 4, ShampooGraft::adagrad},
                          Case{true, 4, ShampooGraft::none}, Case{false, 4, ShampooGraft::adagrad}}) {
        SCOPED_TRACE(std::to_string(c.stagger) + " blocks of " + std::to_string(c.block_size));
        options.refresh.stagger = c.stagger;
        options.block_size = c.block_size;
        options.graft = c.graft;
        Training training(device(), shampoo(options),
                          {{.name = "a", .shape = shapes[0]},
                           {.name = "b", .shape = shapes[1]},
                           {.name = "c", .shape = shapes[2]}});
        std::vector<ShampooReference> references;
        std::vector<std::vector<double>> w;
        std::size_t index = 0;  // of the first block
        for (std::size_t i = 0; i < 3; ++i) {
            references.emplace_back(options, shapes[i], index);
            references[i].states = training.states_of(i);
            index += tensor_blocks(shapes[i], c.block_size).size();
            w.emplace_back(doubles(training.tensor(i).weight()));
        }
        for (unsigned step = 1; step <= 9; ++step) {
            training.draw_gradients(step);
            std::vector<std::vector<float>> before;
            for (std::size_t i = 0; i < 3; ++i) before.push_back(training.tensor(i).weight());
            training.plan().run();
            for (std::size_t i = 0; i < 3; ++i) {
                w[i] = doubles(before[i]);
                references[i].step(w[i], doubles(training.tensor(i).gradient_values()), step);
                EXPECT_LE(update_error(before[i], training.tensor(i).weight(), w[i]), 1e-4)
                    << "step " << step << ", tensor " << i;
            }
        }
    }
}

// Statistics in steps 1, 3, 6 and 9, refreshes in even ones (SOAP's also in the first).
TEST_P(ShampooTest, FactorsTakeStatisticsInStepsThatTheIntervalDivides) {
    ShampooOptions roots;
    roots.beta2 = 0.9;
    roots.epsilon = 1e-2f;
    ShampooOptions whitened = ShampooOptions::kl();
    whitened.beta2 = 0.9;
    whitened.epsilon = 5e-2f;
    ShampooOptions sums = roots;
    sums.beta2 = 1;
    ShampooOptions basis = ShampooOptions::soap();
    basis.epsilon = 5e-2f;
    basis.qr_steps = 0;
    for (ShampooOptions options : {roots, whitened, sums, basis}) {
        options.factor_interval = 3;
        options.refresh = {.interval = 2, .stagger = false};
        Training training(device(), shampoo(options), {{.name = "w", .shape = {6, 6}}});
        ShampooReference reference(options, Shape{6, 6});
        reference.states = training.states_of(0);
        for (unsigned step = 1; step <= 10; ++step) {
            training.draw_gradients(step);
            const std::vector<float> before = training.tensor().weight();
            const std::vector<std::byte> factor = training.state_bytes("w.factor0");
            std::vector<double> expected = doubles(before);
            reference.step(expected, doubles(training.tensor().gradient_values()), step);
            training.plan().run();
            EXPECT_EQ(training.state_bytes("w.factor0") == factor, step != 1 && step % 3 != 0) << step;
            if (step == 1 && options.eigenbasis) {  // which has the step to itself
                EXPECT_EQ(training.tensor().weight(), before);
                continue;
            }
            EXPECT_LE(update_error(before, training.tensor().weight(), expected), 1e-4)
                << options.beta2 << " eigenbasis " << options.eigenbasis << " step " << step;
        }
    }
}

// One element, gradients of 2, by hand. P = 2 F^-1/2 and, SOAP, 2 / c^p, F = c: with the factor 1 - beta2 and
// the correction of the bias that is 4 in every step; without the factor F is 4, then 7 (3/4 of 4, and 4),
// and nothing is corrected.
TEST_P(ShampooTest, UnweightedSumsAreNotCorrected) {
    ShampooOptions options;
    options.lr = 1;
    options.beta1 = 0;
    options.beta2 = 0.75;
    options.epsilon = 0;
    options.graft = ShampooGraft::none;
    struct Case {
        bool eigenbasis, unweighted_sum;
        double exponent, first, second;
    };
    for (const Case& c : {Case{false, false, 0.5, 1, 1}, Case{false, true, 0.5, 1, 2 / std::sqrt(7.0)},
                          Case{true, false, 0.5, 1, 1}, Case{true, true, 0.5, 1, 2 / std::sqrt(7.0)},
                          Case{true, true, 0.25, std::sqrt(2.0), 2 / std::pow(7.0, 0.25)},
                          Case{true, false, 0.25, std::sqrt(2.0), std::sqrt(2.0)}}) {
        options.eigenbasis = c.eigenbasis;
        options.unweighted_sum = c.unweighted_sum;
        options.moment_exponents[1] = c.exponent;
        Training training(device(), shampoo(options), {{.name = "w", .shape = {1}}});
        ShampooReference reference(options, Shape{1});
        reference.states = training.states_of(0);
        training.tensor().set_gradient({2.0f});
        for (unsigned step = 1; step <= 2; ++step) {
            const double expected = step == 1 ? c.first : c.second;
            training.tensor().set_weight({0.0f});
            training.plan().run();
            EXPECT_NEAR(training.tensor().weight()[0], -expected, 1e-6)
                << c.eigenbasis << c.unweighted_sum << " step " << step;
            std::vector<double> w{0.0};
            reference.step(w, {2.0}, step);
            EXPECT_NEAR(w[0], -expected, 1e-12) << c.eigenbasis << c.unweighted_sum << " step " << step;
        }
    }
}

// The same for grafts, U = 2 / sqrt(v), in steps before the first root.
TEST_P(ShampooTest, UnweightedSumsOfGraftsAreNotCorrected) {
    ShampooOptions options;
    options.lr = 1;
    options.beta1 = 0;
    options.graft_beta = 0.75;
    options.graft_eps = 0;
    options.refresh.first = 3;
    struct Case {
        ShampooGraft graft;
        bool unweighted_sum;
        double first, second;  // v
    };
    for (const Case& c :
         {Case{ShampooGraft::adam, false, 4, 4}, Case{ShampooGraft::adam, true, 4, 7},
          Case{ShampooGraft::rmsprop, false, 1, 1.75}, Case{ShampooGraft::rmsprop, true, 4, 7},
          Case{ShampooGraft::adagrad, false, 4, 8}}) {
        options.graft = c.graft;
        options.graft_unweighted_sum = c.unweighted_sum;
        Training training(device(), shampoo(options), {{.name = "w", .shape = {1}}});
        ShampooReference reference(options, Shape{1});
        reference.states = training.states_of(0);
        training.tensor().set_gradient({2.0f});
        for (unsigned step = 1; step <= 2; ++step) {
            const double expected = 2 / std::sqrt(step == 1 ? c.first : c.second);
            training.tensor().set_weight({0.0f});
            training.plan().run();
            EXPECT_NEAR(training.tensor().weight()[0], -expected, 1e-6)
                << static_cast<int>(c.graft) << c.unweighted_sum << " step " << step;
            std::vector<double> w{0.0};
            reference.step(w, {2.0}, step);
            EXPECT_NEAR(w[0], -expected, 1e-12) << static_cast<int>(c.graft) << c.unweighted_sum;
        }
    }
}

// Those for square roots in two runs.
TEST_P(ShampooTest, IterationsTakeFourthRoots) {
    ShampooOptions options;
    options.epsilon = 1e-2f;
    options.graft = ShampooGraft::none;
    for (const ShampooRoot root :
         {ShampooRoot::newton_schulz, ShampooRoot::denman_beavers, ShampooRoot::newton_two_words}) {
        options.root = root;
        Training training(device(), shampoo(options), {{.name = "w", .shape = {8, 6}}});
        EXPECT_EQ(training.plan().describe().find("two_word_product") != std::string::npos,
                  root == ShampooRoot::newton_two_words);
        ShampooReference reference(options, Shape{8, 6});
        reference.states = training.states_of(0);
        for (unsigned step = 1; step <= 3; ++step) {
            training.draw_gradients(step);
            const std::vector<float> before = training.tensor().weight();
            std::vector<double> expected = doubles(before);
            reference.step(expected, doubles(training.tensor().gradient_values()), step);
            training.plan().run();
            EXPECT_LE(update_error(before, training.tensor().weight(), expected), 1e-4)
                << static_cast<int>(root) << " step " << step;
        }
        // A zero matrix has no root, in either run.
        ShampooOptions undamped = options;
        undamped.epsilon = 0;
        Training none(device(), shampoo(undamped), {{.name = "w", .shape = {8, 6}}});
        const std::vector<std::byte> first = none.state_bytes("w.factor0_whitener");
        none.tensor().set_gradient(std::vector<float>(48, 0.0f));
        none.plan().run();
        EXPECT_EQ(failures(none, "w.factor0_failures"), 1u);
        EXPECT_EQ(failures(none, "w.factor1_failures"), 1u);
        EXPECT_TRUE(none.state_bytes("w.factor0_whitener") == first);
    }
}

// X = diag(1, 1/4, 1/16) of the squares of one gradient: a tolerance between two eigenvalues takes the
// smaller ones out, and their rows do not move.
TEST_P(ShampooTest, RankTolerancesTakeSmallEigenvaluesOut) {
    ShampooOptions options;
    options.lr = 1;
    options.beta1 = 0;
    options.epsilon = 0;
    options.graft = ShampooGraft::none;
    options.root = ShampooRoot::pseudo_inverse;
    options.exponents[2] = {0.5, 0.0};
    for (const auto& [tolerance, least, rows] :
         {std::tuple(0.0f, 0.0f, 3), {0.1f, 0.0f, 2}, {0.5f, 0.0f, 1}, {0.1f, 0.3f, 1}, {0.5f, 0.1f, 1}}) {
        options.rank_tolerance = tolerance;
        options.absolute_rank_tolerance = least;
        Training training(device(), shampoo(options), {{.name = "w", .shape = {3, 3}}});
        training.tensor().set_weight(std::vector<float>(9, 0.0f));
        training.tensor().set_gradient({1, 0, 0, 0, 0.5f, 0, 0, 0, 0.25f});
        training.plan().run();
        const std::vector<float> w = training.tensor().weight();
        for (int i = 0; i < 9; ++i)
            EXPECT_NEAR(w[static_cast<std::size_t>(i)], i % 4 == 0 && i / 4 < rows ? -1.0 : 0.0, 1e-5)
                << tolerance << ", " << least << " element " << i;
    }
}

// The share of X off its diagonal, on either side of the tolerance: below it eigh()'s basis is not taken and
// QR takes no step, of which its sorted columns are left.
TEST_P(ShampooTest, BasesStayWhereTheyDiagonalizeWellEnough) {
    ShampooOptions options = ShampooOptions::soap();
    options.first_basis = ShampooFirstBasis::qr;
    options.refresh.interval = 1;
    options.epsilon = 0;
    const std::uint64_t n = 5;
    for (const std::uint32_t qr_steps : {0u, 1u, 3u}) {
        options.qr_steps = qr_steps;
        const auto basis_with = [&](float tolerance, double& share) {
            options.basis_tolerance = tolerance;
            Training training(device(), shampoo(options), {{.name = "w", .shape = {n, 7}}});
            training.draw_gradients(1);
            training.plan().run();
            double whole = 0, rest = 0;
            const std::vector<float> f = training.state("w.factor0");
            for (std::size_t i = 0; i < f.size(); ++i) {
                whole += std::pow(f[i], 2);
                rest += i % (n + 1) == 0 ? 0 : std::pow(f[i], 2);
            }
            share = std::sqrt(rest / whole);
            return training.state("w.factor0_whitener");
        };
        double share = 0;
        const std::vector<float> taken = basis_with(0, share);
        // Above a hundredth, so that the factor of 1.01 does not come of roundings.
        ASSERT_GT(share, 0.01);
        // Further steps of QR may come under it.
        if (qr_steps <= 1) EXPECT_EQ(basis_with(static_cast<float>(share / 1.01), share), taken);
        const std::vector<float> kept = basis_with(static_cast<float>(share * 1.01), share);
        for (std::uint64_t row = 0; row < n; ++row) {
            int ones = 0;
            for (std::uint64_t col = 0; col < n; ++col) {
                const float x = kept[row * n + col];
                EXPECT_TRUE(x == 0.0f || x == 1.0f) << x;
                ones += x == 1.0f;
                if (qr_steps == 0) EXPECT_EQ(x, row == col ? 1.0f : 0.0f);
            }
            EXPECT_EQ(ones, 1);
        }
    }
}

// A vector whose factor has rank 2, 4 and 6 of 7 when it is renewed. The steps between take what their
// gradients have in its null space by epsilon's root, 1e4, and are nearly that alone; level's differ as much
// as they are long. The reference is the official rule: float64 has eigenvalues of epsilon to 1e-7 there.
// The update's own rounding is that of an eigenvector, 1e-6 or less of a part that is a good share of the
// gradient; steps of refreshes, which have nothing there, are as exact.
TEST_P(ShampooTest, NullSpacesTakeEpsilonsRootBetweenRefreshes) {
    ShampooOptions options;
    options.beta2 = 0.999;
    options.epsilon = 1e-8f;
    options.refresh.interval = 2;
    for (const bool by_basis : {false, true})
        for (const ShampooGraft graft : {ShampooGraft::none, ShampooGraft::adam})
            for (const ShampooNullSpace null_space : {ShampooNullSpace::level, ShampooNullSpace::epsilon}) {
                options.graft = graft;
                options.null_space = null_space;
                // eigh() again, where the last basis leaves a thousandth of X off its diagonal.
                options.basis_tolerance = by_basis ? 1e-3f : 0.0f;
                Training training(device(), shampoo(options), {{.name = "w", .shape = {7}}});
                ShampooReference reference(options, Shape{7});
                reference.states = training.states_of(0);
                const std::vector<float> before(7, 0.0f);  // of steps 1e4 times as long as others
                for (unsigned step = 1; step <= 8; ++step) {
                    training.draw_gradients(step);
                    training.tensor().set_weight(before);
                    std::vector<double> expected = doubles(before);
                    reference.step(expected, doubles(training.tensor().gradient_values()), step);
                    training.plan().run();
                    const double error = update_error(before, training.tensor().weight(), expected);
                    const bool between = step == 3 || step == 5 || step == 7;
                    if (between && null_space == ShampooNullSpace::level) {
                        EXPECT_GT(error, 0.1) << static_cast<int>(graft) << " step " << step;
                    } else {
                        EXPECT_LE(error, 1e-4) << static_cast<int>(graft) << " step " << step;
                    }
                }
                EXPECT_EQ(failures(training, "w.factor0_failures"), 0u);
            }
}

// SOAP's authors fill the factors with the first gradient, take eigenvectors, and leave all else as it is;
// their second step is the first of their moments. The matrix is square, so that a single gradient spans both
// sides and no basis is anybody's choice.
TEST_P(ShampooTest, FirstBasesByEighHaveAStepOfTheirOwn) {
    ShampooOptions options = ShampooOptions::soap();
    options.refresh.interval = 3;
    options.refresh.stagger = false;
    options.weight_decay = 0.1f;
    for (const double momentum : {0.0, 0.9}) {
        options.momentum = momentum;
        options.graft = momentum > 0 ? ShampooGraft::adam : ShampooGraft::none;
        Training training(device(), shampoo(options), {{.name = "w", .shape = {6, 6}}});
        ShampooReference reference(options, Shape{6, 6});
        reference.states = training.states_of(0);
        const std::vector<float> identity = training.state("w.factor0_whitener");
        for (unsigned step = 1; step <= 8; ++step) {
            training.draw_gradients(step);
            const std::vector<float> before = training.tensor().weight();
            std::vector<double> expected = doubles(before);
            reference.step(expected, doubles(training.tensor().gradient_values()), step);
            training.plan().run();
            if (step > 1) {
                EXPECT_LE(update_error(before, training.tensor().weight(), expected), 1e-4)
                    << momentum << " step " << step;
                continue;
            }
            EXPECT_EQ(training.tensor().weight(), before);
            for (const auto& [name, values] : training.states_of(0)) {
                if (name.starts_with("factor")) continue;
                for (const double value : values) EXPECT_EQ(value, 0.0) << name;
            }
            EXPECT_NE(training.state("w.factor0_whitener"), identity);
        }
    }
}

TEST_P(ShampooTest, RefreshesWithoutARootKeepTheLastOne) {
    ShampooOptions options;
    options.epsilon = 0;
    Training training(device(), shampoo(options), {{.name = "w", .shape = {8, 6}}});
    expect_kept_roots(training, "w.factor0", "w.factor1");
}

TEST_P(ShampooTest, RefusesOptionsOutOfRangeByName) {
    const auto refused = [&](const char* name, auto&& change) {
        expect_option_refused<Shampoo, ShampooOptions>(device(), name, change);
    };
    refused("lr", [](ShampooOptions& o) { o.lr = -1; });
    refused("beta1", [](ShampooOptions& o) { o.beta1 = 1; });
    refused("beta2", [](ShampooOptions& o) { o.beta2 = 1.1; });
    refused("beta3", [](ShampooOptions& o) { o.beta3 = -0.5; });
    refused("epsilon", [](ShampooOptions& o) { o.epsilon = -1; });
    refused("epsilon with pseudo_inverse", [](ShampooOptions& o) { o.root = ShampooRoot::pseudo_inverse; });
    refused("relative_epsilon", [](ShampooOptions& o) { o.relative_epsilon = -1; });
    refused("order of exponents", [](ShampooOptions& o) { o.exponents[9] = {0.5}; });
    refused("exponents[2]", [](ShampooOptions& o) { o.exponents[2] = {0.5, 0.5, 0.5}; });
    refused("exponents[2]", [](ShampooOptions& o) { o.exponents[2] = {-0.5}; });
    refused("exponents[2]", [](ShampooOptions& o) {
        o.root = ShampooRoot::newton;
        o.exponents[2] = {0.3};
    });
    refused("exponents[3]", [](ShampooOptions& o) {
        o.root = ShampooRoot::newton_schulz;
        o.exponents[3] = {1.0 / 6};
    });
    refused("rank_tolerance", [](ShampooOptions& o) { o.rank_tolerance = 1; });
    refused("absolute_rank_tolerance", [](ShampooOptions& o) { o.absolute_rank_tolerance = -1; });
    refused("order of moment_exponents", [](ShampooOptions& o) { o.moment_exponents[0] = 0.5; });
    refused("moment_exponents[2]", [](ShampooOptions& o) { o.moment_exponents[2] = 0; });
    refused("basis_tolerance", [](ShampooOptions& o) { o.basis_tolerance = 1.5f; });
    refused("trace_exponent", [](ShampooOptions& o) { o.trace_exponent = 5; });
    refused("block_size", [](ShampooOptions& o) { o.block_size = 0; });
    refused("least_order", [](ShampooOptions& o) { o.least_order = 0; });
    refused("refresh.interval", [](ShampooOptions& o) { o.refresh.interval = 0; });
    refused("refresh.first", [](ShampooOptions& o) { o.refresh.first = 0x80000000u; });
    refused("graft", [](ShampooOptions& o) { o.graft = static_cast<ShampooGraft>(9); });
    refused("graft_beta", [](ShampooOptions& o) { o.graft_beta = 1; });
    refused("graft_eps", [](ShampooOptions& o) { o.graft_eps = -1; });
    refused("weight_decay", [](ShampooOptions& o) { o.weight_decay = -1; });
    refused("decay", [](ShampooOptions& o) { o.decay = static_cast<ShampooDecay>(9); });
    refused("momentum", [](ShampooOptions& o) { o.momentum = 1; });
    refused("dampening", [](ShampooOptions& o) { o.dampening = 2; });
    refused("statistic", [](ShampooOptions& o) { o.statistic = static_cast<ShampooStatistic>(9); });
    refused("null_space", [](ShampooOptions& o) { o.null_space = static_cast<ShampooNullSpace>(9); });
    refused("epsilon with null_space", [](ShampooOptions& o) {
        o.null_space = ShampooNullSpace::epsilon;
        o.epsilon = 0;
    });
    refused("root with null_space", [](ShampooOptions& o) {
        o.null_space = ShampooNullSpace::epsilon;
        o.root = ShampooRoot::newton;
    });
    refused("first_basis", [](ShampooOptions& o) { o.first_basis = static_cast<ShampooFirstBasis>(9); });
    refused("first_basis without eigenbasis",
            [](ShampooOptions& o) { o.first_basis = ShampooFirstBasis::eigh; });
    refused("qr_steps", [](ShampooOptions& o) { o.qr_steps = 65; });
    refused("root with qr_steps", [](ShampooOptions& o) {
        o.qr_steps = 1;
        o.root = ShampooRoot::newton;
    });
    refused("statistic with eigenbasis", [](ShampooOptions& o) {
        o.eigenbasis = true;
        o.statistic = ShampooStatistic::whitened;
    });
    refused("root", [](ShampooOptions& o) { o.root = static_cast<ShampooRoot>(9); });
}

// Blocks may be longer than what can be factored, as long as no parameter has such.
TEST_P(ShampooTest, RefusesParametersWhoseFactorsAreTooLarge) {
    ShampooOptions options;
    options.block_size = 8192;
    options.epsilon = 1e-2f;
    Training small(device(), shampoo(options), {{.name = "w", .shape = {5, 4}}});
    ShampooReference reference(options, Shape{5, 4});
    reference.states = small.states_of(0);
    const std::vector<float> before = small.tensor().weight();
    std::vector<double> expected = doubles(before);
    small.draw_gradients(1);
    reference.step(expected, doubles(small.tensor().gradient_values()), 1);
    small.plan().run();
    EXPECT_LE(update_error(before, small.tensor().weight(), expected), 1e-4);

    const auto add = [&](const Shape& shape) {
        Training training(device(), shampoo(options), {{.name = "w", .shape = shape}});
    };
    expect_refused([&] { add({5000}); }, {"\"w\"", "5000", "block_size"});
    expect_refused([&] { add({2, 5000}); }, {"\"w\"", "5000", "block_size"});
    options.exponents[2] = {0.5, 0.0};
    add({2, 5000});
}

// A tensor of three axes takes sixth roots, which Denman-Beavers does not have.
TEST_P(ShampooTest, RefusesParametersWhoseRootsTheMethodDoesNotHave) {
    ShampooOptions options;
    options.root = ShampooRoot::denman_beavers;
    options.least_order = 3;
    expect_refused(
        [&] {
            Training training(device(), shampoo(options), {{.name = "w", .shape = {8, 6, 4}}});
        },
        {"\"w\""});
    Training vector(device(), shampoo(options), {{.name = "w", .shape = {8}}});
}

HERON_DEVICE_TESTS(ShampooTest);

}  // namespace
}  // namespace heron::test
