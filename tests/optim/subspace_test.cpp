// SPDX-License-Identifier: MIT
// Conda, Trion, DCT-AdamW, GaLore and its relatives: blocks of parameters, turns of bases, slots, refusals.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "core/refusal.hpp"
#include "optim/reference_low_rank.hpp"
#include "optim/reference_subspace.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

class SubspaceTest : public DeviceTest {};

void expect_update(const std::vector<float>& before, const std::vector<float>& after,
                   const std::vector<double>& expected, double relative = 1e-4) {
    double error = 0, update = 0, weight = 0;
    for (std::size_t k = 0; k < after.size(); ++k) {
        error += std::pow(after[k] - expected[k], 2);
        update += std::pow(expected[k] - before[k], 2);
        weight += expected[k] * expected[k];
    }
    EXPECT_LE(std::sqrt(error), relative * std::sqrt(update) + 8 * 0x1p-24 * std::sqrt(weight));
    EXPECT_GT(update, 0);
}

struct Blocks {
    Shape shape;
    MatrixView view;
    std::vector<Shape> shapes;  // of its matrices
};

std::vector<Blocks> blocks() {
    return {{{29, 6}, {.row_splits = {12, 12, 5}}, {{12, 6}, {12, 6}, {5, 6}}},
            {{3, 5, 9}, {.batch = true}, {{5, 9}, {5, 9}, {5, 9}}}};
}

MakeOptimizer galore(GaLoreOptions options) {
    options.rank = 3;
    options.lr = 0.01f;
    options.eps = 0.05f;
    options.refresh = {.interval = 2, .stagger = false};
    return [=](const Device& on) { return std::make_unique<GaLore>(on, options); };
}

// A matrix of a parameter is trained as one by itself. (Of GaLore's the first, random bases differ, and with
// them the signs of all later ones: which makes no difference.)
TEST_P(SubspaceTest, MatricesOfOneParameterAreTrainedApart) {
    DctAdamWOptions dct{
        .rank = 3, .lr = 0.01f, .eps = 1e-3f, .gap = 2, .rotate = true, .error_feedback = true};
    DctAdamWOptions coded = dct;
    coded.error_bits = 8;
    const std::vector<MakeOptimizer> optimizers{
        [](const Device& on) { return std::make_unique<Conda>(on, CondaOptions{.eps = 0.05f, .gap = 2}); },
        [](const Device& on) { return std::make_unique<Trion>(on, TrionOptions{.rank = 3}); },
        [](const Device& on) {
            return std::make_unique<Conda>(on,
                                           CondaOptions{.eps = 0.05f, .gap = 2, .side = CondaSide::longer});
        },
        [=](const Device& on) { return std::make_unique<DctAdamW>(on, dct); },
        [=](const Device& on) { return std::make_unique<DctAdamW>(on, coded); },
        galore({.projection = GaLoreProjection::full}),
        galore({.projection = GaLoreProjection::reverse, .inner = GaLoreInner::lion}),
        galore({.moments = GaLoreMoments::rotate, .inner = GaLoreInner::lion}),
        [](const Device& on) {
            return std::make_unique<NaturalGaLore>(
                on, NaturalGaLoreOptions{.rank = 2, .eps = 0.05f, .history = 3, .lambda = 0.1f});
        },
        [](const Device& on) {
            return std::make_unique<OnlineSubspaceDescent>(
                on, OnlineSubspaceDescentOptions{
                        .rank = 3, .eps = 0.05f, .iterations = 0, .descent = {.eps = 1e-3f}});
        }};
    for (const MakeOptimizer& make : optimizers)
        for (const Blocks& one : blocks()) {
            Training whole(device(), make, {{.name = "w", .shape = one.shape, .view = one.view}});
            std::vector<TestTensor> parts;
            for (std::size_t i = 0; i < one.shapes.size(); ++i)
                parts.push_back({.name = "w" + std::to_string(i), .shape = one.shapes[i]});
            Training apart(device(), make, parts);
            SCOPED_TRACE(whole.optimizer_name() + " " + one.shape.text());
            const auto each = [&](const auto& give) {
                std::size_t first = 0;
                for (std::size_t i = 0; i < parts.size(); ++i) {
                    give(i, first);
                    first += parts[i].shape.count();
                }
            };
            const std::vector<float> before = whole.tensor().weight();
            each([&](std::size_t i, std::size_t first) {
                apart.tensor(i).set_weight(
                    {before.begin() + static_cast<std::ptrdiff_t>(first),
                     before.begin() + static_cast<std::ptrdiff_t>(first + parts[i].shape.count())});
            });
            for (unsigned step = 1; step <= 4; ++step) {
                whole.draw_gradients(step);
                const std::vector<float> g = whole.tensor().gradient_values();
                each([&](std::size_t i, std::size_t first) {
                    apart.tensor(i).set_gradient(
                        {g.begin() + static_cast<std::ptrdiff_t>(first),
                         g.begin() + static_cast<std::ptrdiff_t>(first + parts[i].shape.count())});
                });
                whole.plan().run();
                apart.plan().run();
            }
            const std::vector<float> after = whole.tensor().weight();
            each([&](std::size_t i, std::size_t first) {
                const std::vector<float> alone = apart.tensor(i).weight();
                double error = 0, update = 0, weight = 0;
                for (std::size_t k = 0; k < alone.size(); ++k) {
                    error += std::pow(static_cast<double>(alone[k]) - after[first + k], 2);
                    update += std::pow(static_cast<double>(alone[k]) - before[first + k], 2);
                    weight += std::pow(static_cast<double>(alone[k]), 2);
                }
                // Products may sum in another order; four roundings of W each.
                EXPECT_LE(std::sqrt(error), 1e-4 * std::sqrt(update) + 8 * 0x1p-24 * std::sqrt(weight)) << i;
                EXPECT_GT(update, 0);
            });
        }
}

TEST_P(SubspaceTest, CondaTakesNewBasesInTurns) {
    const CondaOptions options{.lr = 0.01f, .eps = 0.05f, .gap = 4, .stagger = 2};
    const std::vector<Shape> shapes{{6, 10}, {9, 4}, {7, 7}};
    std::vector<TestTensor> tensors;
    for (std::size_t i = 0; i < shapes.size(); ++i)
        tensors.push_back({.name = "w" + std::to_string(i), .shape = shapes[i]});
    Training training(
        device(), [&](const Device& on) { return std::make_unique<Conda>(on, options); }, tensors);
    EXPECT_NE(training.plan().describe().find("every 4 steps (phase 2) and in the first"), std::string::npos);
    std::vector<CondaReference> references;
    std::vector<std::vector<double>> expected;
    std::vector<std::vector<float>> before;
    for (std::uint32_t i = 0; i < shapes.size(); ++i) {
        references.emplace_back(options, shapes[i], i % 2 == 0 ? 0 : 2);
        before.push_back(training.tensor(i).weight());
        expected.push_back(doubles(before[i]));
    }
    for (unsigned step = 1; step <= 8; ++step) {
        std::vector<std::vector<float>> bases;
        for (std::size_t i = 0; i < shapes.size(); ++i)
            bases.push_back(training.state("w" + std::to_string(i) + ".basis"));
        training.steps(step, 1);
        for (std::size_t i = 0; i < shapes.size(); ++i) {
            const bool turn = step == 1 || (step - 1) % 4 == (i % 2 == 0 ? 0u : 2u);
            EXPECT_EQ(training.state("w" + std::to_string(i) + ".basis") != bases[i], turn)
                << i << " " << step;
            references[i].step(expected[i], doubles(training.tensor(i).gradient_values()), step);
        }
    }
    for (std::size_t i = 0; i < shapes.size(); ++i)
        expect_update(before[i], training.tensor(i).weight(), expected[i]);
}

TEST_P(SubspaceTest, GaLoreTakesNewBasesInTurns) {
    const GaLoreOptions options{
        .rank = 2, .lr = 0.01f, .eps = 0.05f, .refresh = {.interval = 3, .stagger = true, .turn_flops = 0}};
    const std::vector<Shape> shapes{{6, 10}, {9, 4}};
    Training training(device(), [&](const Device& on) { return std::make_unique<GaLore>(on, options); },
                      {{.name = "w0", .shape = shapes[0]}, {.name = "w1", .shape = shapes[1]}});
    const auto basis = [&](std::size_t i) { return training.state(i == 0 ? "w0.left" : "w1.right"); };
    std::vector<GaLoreReference> references;
    std::vector<std::vector<double>> expected;
    std::vector<std::vector<float>> before;
    for (std::uint32_t i = 0; i < 2; ++i) {
        references.emplace_back(options, shapes[i], i);
        references[i].states = training.states_of(i);
        before.push_back(training.tensor(i).weight());
        expected.push_back(doubles(before[i]));
    }
    for (unsigned step = 1; step <= 7; ++step) {
        const std::vector<float> old[]{basis(0), basis(1)};
        training.steps(step, 1);
        for (std::size_t i = 0; i < 2; ++i) {
            EXPECT_EQ(basis(i) != old[i], step == 1 || (step - 1) % 3 == i) << i << " " << step;
            references[i].step(expected[i], doubles(training.tensor(i).gradient_values()), step);
        }
    }
    for (std::size_t i = 0; i < 2; ++i) expect_update(before[i], training.tensor(i).weight(), expected[i]);
}

// Of gradients of rank r subspace iteration finds what the decomposition does. A gradient of zeros, in the
// first step or later, leaves the basis, and a step later everything goes on.
TEST_P(SubspaceTest, GaLoreBySubspaceIterationAndWithoutGradient) {
    for (const GaLoreProjection projection : {GaLoreProjection::standard, GaLoreProjection::full}) {
        const GaLoreOptions exact{.rank = 3,
                                  .lr = 0.01f,
                                  .eps = 0.05f,
                                  .projection = projection,
                                  .refresh = {.interval = 1, .stagger = false}};
        GaLoreOptions iterated = exact;
        iterated.iterations = 2;
        const Shape shape{20, 12};
        Training training(device(), [&](const Device& on) { return std::make_unique<GaLore>(on, iterated); },
                          {{.name = "w", .shape = shape}});
        GaLoreReference reference(exact, shape);
        reference.states = training.states_of(0);
        const std::vector<float> before = training.tensor().weight();
        std::vector<double> expected = doubles(before);
        std::mt19937 random(7);
        for (unsigned step = 1; step <= 5; ++step) {
            std::vector<float> gradient(shape.count(), 0.0f);
            if (step != 1 && step != 4) {
                const Matrix g = gaussian(20, 3, random) * gaussian(3, 12, random);
                for (std::size_t i = 0; i < gradient.size(); ++i)
                    gradient[i] = static_cast<float>(g.data()[i]);
            }
            training.tensor().set_gradient(gradient);
            const std::vector<float> old = training.state("w.right");
            training.plan().run();
            EXPECT_EQ(training.state("w.right") == old, step == 1 || step == 4) << step;
            reference.step(expected, doubles(gradient), step);
        }
        expect_update(before, training.tensor().weight(), expected);
    }
}

// Rounded stochastically, roots of |m| and sqrt(v) are off by less than a 127th and a 255th of a block's
// largest, twice as much as by rounding to nearest: two percent of the direction's elements in each step, and
// four with what is left of the steps before. Blocks of 256, of which the last is not full.
TEST_P(SubspaceTest, GaLoreKeepsMomentsInEightBits) {
    GaLoreOptions options{.rank = 3,
                          .lr = 0.01f,
                          .beta2 = 0.95,
                          .eps = 0.05f,
                          .refresh = {.interval = 5, .stagger = false},
                          .moment_bits = 8};
    const Shape shape{130, 11};
    for (const bool gpu_variants : {false, true}) {
        Training training(device({.cpu = gpu_variants}),
                          [&](const Device& on) { return std::make_unique<GaLore>(on, options); },
                          {{.name = "w", .shape = shape}});
        EXPECT_EQ(training.plan().state_view("w.m").span_bytes(), 512u);
        GaLoreReference reference(options, shape);
        reference.states["right"] = training.states_of(0)["right"];
        const std::vector<float> before = training.tensor().weight();
        std::vector<double> expected = doubles(before);
        for (unsigned step = 1; step <= 10; ++step) {
            training.steps(step, 1);
            reference.step(expected, doubles(training.tensor().gradient_values()), step);
            // Nothing is rounded before the first direction.
            expect_update(before, training.tensor().weight(), expected, step == 1 ? 1e-4 : 0.04);
        }
        std::vector<std::uint32_t> codes(128);
        training.plan().read_state("w.v", std::as_writable_bytes(std::span(codes)));
        EXPECT_EQ(codes[97] >> 16, 0u) << "beyond the 390 elements";
        EXPECT_NE(codes[97] & 0xffff, 0u);
        const std::vector<float> largest = training.state("w.v_scale");
        double expected_largest = 0;
        for (std::size_t i = 0; i < 256; ++i)
            expected_largest = std::max(expected_largest, std::sqrt(reference.states["v"][i]));
        EXPECT_NEAR(largest[0], expected_largest, 0.04 * expected_largest);
    }
}

TEST_P(SubspaceTest, RandomBasesAreOrthonormalAndDrawnAnew) {
    const OnlineSubspaceDescentOptions options{.rank = 3,
                                               .lr = 0.01f,
                                               .projection = GaLoreProjection::full,
                                               .descent = {.rule = SubspaceRule::random, .interval = 2}};
    Training training(device(),
                      [&](const Device& on) { return std::make_unique<OnlineSubspaceDescent>(on, options); },
                      {{.name = "w", .shape = {9, 7}}});
    const auto basis = [&](bool left) { return doubles(training.state(left ? "w.left" : "w.right")); };
    for (unsigned step = 1; step <= 5; ++step) {
        const std::vector<double> old[]{basis(false), basis(true)};
        const std::vector<float> weight = training.tensor().weight();
        training.steps(step, 1);
        EXPECT_NE(training.tensor().weight(), weight);
        for (const bool left : {false, true}) {
            EXPECT_EQ(basis(left) != old[left ? 1 : 0], step == 3 || step == 5) << step;
            const Matrix p = matrix_of(basis(left), left ? 9 : 7, 3);
            EXPECT_LE((p.transpose() * p - Matrix::Identity(3, 3)).norm(), 32 * 0x1p-24) << step;
        }
    }
}

// Rows in f16 are 2^-11 off, and so is their part in the transform.
TEST_P(SubspaceTest, NaturalGaLoreKeepsItsHistoryInSixteenBits) {
    const Shape shape{9, 7};
    for (const DType dtype : {DType::f16, DType::bf16}) {
        const NaturalGaLoreOptions options{.rank = 3,
                                           .lr = 0.01f,
                                           .eps = 0.05f,
                                           .history = 4,
                                           .lambda = 0.1f,
                                           .history_dtype = dtype,
                                           .refresh = {.interval = 3, .stagger = false}};
        Training training(device(),
                          [&](const Device& on) { return std::make_unique<NaturalGaLore>(on, options); },
                          {{.name = "w", .shape = shape}});
        EXPECT_EQ(training.plan().state_view("w.history").dtype, dtype);
        NaturalGaLoreReference reference(options, shape);
        reference.states = training.states_of(0);
        const std::vector<float> before = training.tensor().weight();
        std::vector<double> expected = doubles(before);
        for (unsigned step = 1; step <= 6; ++step) {
            training.steps(step, 1);
            reference.step(expected, doubles(training.tensor().gradient_values()), step);
        }
        expect_update(before, training.tensor().weight(), expected, dtype == DType::f16 ? 5e-3 : 4e-2);
    }
}

// A refresh leaves the history where it is, and each matrix of a batch has a factor of its own. (The root of
// this lambda is above all gradients, so that the scale of the systems, 2^4, stays.)
TEST_P(SubspaceTest, NaturalGaLoreKeepsItsFactorsThroughRefreshes) {
    constexpr std::uint32_t kHistory = 3;
    const auto start = [&](bool keeps) {
        NaturalGaLoreOptions options{.rank = 2, .lr = 0.01f, .eps = 0.05f, .history = kHistory};
        options.lambda = 200.0f;
        options.refresh = {.interval = 2, .stagger = false};
        options.keep_factor = keeps;
        return std::make_unique<Training>(
            device(), [=](const Device& on) { return std::make_unique<NaturalGaLore>(on, options); },
            std::vector<TestTensor>{{.name = "w", .shape = {3, 5, 9}, .view = {.batch = true}}});
    };
    const std::unique_ptr<Training> kept = start(true), plain = start(false);
    const std::vector<float> before = plain->tensor().weight();
    for (std::uint32_t step = 0; step <= 3 * kHistory; ++step) {
        kept->steps(step + 1, 1);
        plain->steps(step + 1, 1);
        std::vector<std::uint32_t> counts(3 * WindowFactor::kCounts), expected;
        kept->plan().read_state("w.factor_counts", std::as_writable_bytes(std::span(counts)));
        for (int item = 0; item < 3; ++item)
            for (const std::uint32_t count : {1u, 4u, step % (kHistory + 1), step / (kHistory + 1) + 1, 0u})
                expected.push_back(count);
        EXPECT_EQ(counts, expected) << "step " << step;
        expect_update(before, kept->tensor().weight(), doubles(plain->tensor().weight()));
    }
}

TEST_P(SubspaceTest, NaturalGaLoreReportsWhatItSolvedWith) {
    const auto start = [&](float lambda) {
        return std::make_unique<Training>(
            device(),
            [=](const Device& on) {
                return std::make_unique<NaturalGaLore>(
                    on, NaturalGaLoreOptions{.rank = 3, .history = 4, .lambda = lambda});
            },
            std::vector<TestTensor>{{.name = "w", .shape = {9, 7}}});
    };
    const auto status_of = [](Training& training) {
        std::uint32_t status = 99;
        training.plan().read_state("w.status", std::as_writable_bytes(std::span(&status, 1)));
        return static_cast<MatrixStatus>(status);
    };
    const std::unique_ptr<Training> raised = start(1e-9f), plain = start(0.5f);
    raised->steps(1, 1);
    double trace = 0;
    for (const float value : raised->state("w.history")) trace += static_cast<double>(value) * value;
    EXPECT_EQ(status_of(*raised), MatrixStatus::jittered);
    EXPECT_NEAR(raised->state("w.damping")[0], 0x1p-21 * trace, 1e-4 * 0x1p-21 * trace);
    plain->steps(1, 1);
    EXPECT_EQ(status_of(*plain), MatrixStatus::ok);
    EXPECT_EQ(plain->state("w.damping")[0], 0.5f);
    // With a history that is not finite Adam sees zeros, until that is gone.
    std::vector<float> history = plain->state("w.history");
    history[0] = std::numeric_limits<float>::infinity();
    plain->set_state("w.history", history);
    const std::vector<float> m = plain->state("w.m");
    plain->steps(2, 1);
    EXPECT_EQ(status_of(*plain), MatrixStatus::nonfinite);
    EXPECT_EQ(plain->state("w.damping")[0], 0.0f);
    EXPECT_TRUE(within(plain->state("w.m"), doubles(m), [&](std::size_t i) {
        return 0.1 * std::abs(static_cast<double>(m[i])) * (1 + 1e-6) + 1e-37;
    }));
    plain->steps(3, 3);
    EXPECT_EQ(status_of(*plain), MatrixStatus::ok);
    EXPECT_EQ(plain->nonfinite(), std::vector<std::string>{});
}

// Many vectors, so that several words and several invocations work on slots; both numbers of invocations.
TEST_P(SubspaceTest, VectorsThatStayKeepTheirSlots) {
    constexpr std::size_t kRank = 300;
    const DctAdamWOptions options{.rank = kRank, .rotate = true};
    for (const bool gpu_variants : {false, true}) {
        Training training(device({.cpu = gpu_variants}),
                          [&](const Device& on) { return std::make_unique<DctAdamW>(on, options); },
                          {{.name = "w", .shape = {512, 512}}});
        const auto words = [&](const char* name) {
            std::vector<std::uint32_t> values(kRank);
            training.plan().read_state(name, std::as_writable_bytes(std::span(values)));
            return values;
        };
        std::vector<std::uint32_t> before, before_since;
        for (std::uint32_t step = 1; step <= 3; ++step) {
            training.steps(step, 1);
            const std::vector<std::uint32_t> slots = words("w.indices"), since = words("w.since");
            const std::set<std::uint32_t> held(slots.begin(), slots.end());
            EXPECT_EQ(held.size(), kRank) << "each vector once";
            EXPECT_LT(*held.rbegin(), 512u);
            std::vector<std::uint32_t> arrived;
            for (std::size_t slot = 0; slot < kRank; ++slot) {
                if (!before.empty() && held.contains(before[slot])) {
                    EXPECT_EQ(slots[slot], before[slot]) << slot;
                    EXPECT_EQ(since[slot], before_since[slot]) << slot;
                } else {
                    arrived.push_back(slots[slot]);
                    EXPECT_EQ(since[slot], step);
                }
            }
            EXPECT_TRUE(std::is_sorted(arrived.begin(), arrived.end()));
            EXPECT_GT(arrived.size(), 0u);
            before = slots;
            before_since = since;
        }
    }
}

// E in few bits: each element is off by half a step at most, and the next step goes on from there.
TEST_P(SubspaceTest, TheErrorInFewBitsIsWithinHalfAStep) {
    for (const std::uint32_t bits : {4u, 8u})
        for (const Blocks& one : {Blocks{{12, 37}, {}, {{12, 37}}}, blocks()[0], blocks()[1]}) {
            SCOPED_TRACE(std::to_string(bits) + " " + one.shape.text());
            DctAdamWOptions options{.rank = 3, .lr = 0.01f, .eps = 1e-3f, .error_feedback = true};
            const auto make = [&](std::uint32_t of_error) {
                options.error_bits = of_error;
                return [options](const Device& on) { return std::make_unique<DctAdamW>(on, options); };
            };
            const std::vector<TestTensor> tensors{{.name = "w", .shape = one.shape, .view = one.view}};
            Training coded(device(), make(bits), tensors), exact(device(), make(32), tensors);
            const std::size_t cols = one.shapes[0][1], rows = one.shape.count() / cols;
            const std::size_t words = (cols * bits + 31) / 32;
            const std::uint32_t largest = (1u << bits) - 1;
            for (unsigned step = 1; step <= 3; ++step) {
                for (Training* training : {&coded, &exact}) {
                    training->draw_gradients(step);
                    std::vector<float> gradient = training->tensor().gradient_values();
                    // A row of zeros.
                    for (std::size_t k = 0; k < cols; ++k) gradient[k] = 0;
                    if (one.shapes[0][0] >= cols) training->tensor().set_gradient(gradient);
                    training->plan().run();
                }
                const std::vector<float> error = exact.state("w.error"),
                                         ranges = coded.state("w.error_ranges");
                std::vector<std::uint32_t> codes(rows * words);
                coded.plan().read_state("w.error_codes", std::as_writable_bytes(std::span(codes)));
                std::vector<float> decoded(error.size());
                for (std::size_t row = 0; row < rows; ++row) {
                    const std::span<const float> of_row(&error[row * cols], cols);
                    const double least = *std::min_element(of_row.begin(), of_row.end());
                    const double most = *std::max_element(of_row.begin(), of_row.end());
                    const double size = std::max(std::abs(least), std::abs(most));
                    // The step before began with what two sums of three terms have rounded.
                    const double rounding = 16 * 0x1p-24 * (size + 4);
                    EXPECT_NEAR(ranges[2 * row], least, rounding);
                    EXPECT_NEAR(ranges[2 * row + 1] * largest, most - least, 2 * rounding);
                    std::set<std::uint32_t> used;
                    for (std::size_t k = 0; k < cols; ++k) {
                        const std::size_t bit = k * bits;
                        const std::uint32_t code = codes[row * words + bit / 32] >> bit % 32 & largest;
                        used.insert(code);
                        decoded[row * cols + k] =
                            ranges[2 * row] + static_cast<float>(code) * ranges[2 * row + 1];
                        EXPECT_NEAR(decoded[row * cols + k], of_row[k], 0.5 * ranges[2 * row + 1] + rounding);
                    }
                    if (most > least) EXPECT_TRUE(used.contains(0) && used.contains(largest));
                }
                const std::vector<float> weight = coded.tensor().weight(), other = exact.tensor().weight();
                // What a coefficient is off by, some 1e-6, over eps = 1e-3 changes u, times lr = 0.01.
                for (std::size_t i = 0; i < weight.size(); ++i)
                    EXPECT_NEAR(weight[i], other[i], 1e-5 * step + 4 * 0x1p-24 * std::abs(other[i])) << i;
                exact.set_state("w.error", decoded);
            }
        }
}

TEST_P(SubspaceTest, RefusesWhatDoesNotFit) {
    const auto expect = [](const char* part, const auto& act) {
        EXPECT_TRUE(says(refusal(ErrorCode::invalid_argument, act), part));
    };
    expect("rank is 0", [&] { Trion(device(), {}); });
    expect("rank is 0", [&] { DctAdamW(device(), {}); });
    expect("gap is 0", [&] { DctAdamW(device(), {.rank = 2, .gap = 0}); });
    expect("vectors", [&] { DctAdamW(device(), {.rank = 2, .vectors = static_cast<DctVectors>(2)}); });
    expect("error_bits is 8", [&] { DctAdamW(device(), {.rank = 2, .error_bits = 8}); });
    expect("error_bits is 5",
           [&] { DctAdamW(device(), {.rank = 2, .error_feedback = true, .error_bits = 5}); });
    expect("side", [&] { Conda(device(), {.side = static_cast<CondaSide>(2)}); });
    expect("stagger is 4", [&] { Conda(device(), {.gap = 3, .stagger = 4}); });
    expect("scale is -1", [&] { Conda(device(), {.scale = -1.0f}); });
    expect("refresh.first is 2", [&] { GaLore(device(), {.refresh = {.first = 2}}); });
    expect("iterations is 65", [&] { GaLore(device(), {.iterations = 65}); });
    expect("inner is 3", [&] { GaLore(device(), {.inner = static_cast<GaLoreInner>(3)}); });
    expect("lambda is 0", [&] { NaturalGaLore(device(), {.lambda = 0.0f}); });
    expect("history is 1025", [&] { NaturalGaLore(device(), {.history = 1025}); });
    expect("history_dtype", [&] { NaturalGaLore(device(), {.history_dtype = DType::u32}); });
    expect("descent.rate is -1", [&] { OnlineSubspaceDescent(device(), {.descent = {.rate = -1.0f}}); });
    expect("OnlineSubspaceDescent: moment_bits is 8",
           [&] { OnlineSubspaceDescent(device(), {.inner = GaLoreInner::adafactor, .moment_bits = 8}); });
    expect("NaturalGaLore: moment_bits is 8",
           [&] { NaturalGaLore(device(), {.moments = GaLoreMoments::rotate, .moment_bits = 8}); });
    expect("moment_bits is 4", [&] { GaLore(device(), {.moment_bits = 4}); });
    expect("moment_bits is 16",
           [&] { GaLore(device(), {.moments = GaLoreMoments::rotate, .moment_bits = 16}); });
    expect("moment_bits is 8",
           [&] { GaLore(device(), {.moment_bits = 8, .inner = GaLoreInner::adafactor}); });
    expect("adafactor_eps2 is -1", [&] { GaLore(device(), {.adafactor_eps2 = -1.0f}); });
    expect("cannot be rotated",
           [&] { GaLore(device(), {.moments = GaLoreMoments::rotate, .inner = GaLoreInner::adafactor}); });
    // Nothing looks at the memory.
    const auto parameter = [](const Shape& shape) {
        Parameter p;
        p.name = "w";
        p.weight = {.address = 1 << 20, .dtype = DType::f32, .shape = shape};
        p.gradient = {.address = std::uint64_t{1} << 40, .dtype = DType::f32, .shape = shape};
        return p;
    };
    Conda conda(device());
    expect("at most 4096", [&] { conda.add(parameter({4097, 5000})); });
    GaLore low_rank(device());
    expect("at most 4096", [&] { low_rank.add(parameter({4097, 5000})); });
    GaLore no_rank(device(), {.rank = 0});
    no_rank.add(parameter({4097, 5000}));
    Trion trion(device(), {.rank = 8});
    expect("at most 8192", [&] { trion.add(parameter({8193, 9000})); });
    expect("give vectors to AdamW", [&] { trion.add(parameter({9})); });
    DctAdamW adamw(device(), {.rank = 8});
    expect("at most 8192", [&] { adamw.add(parameter({8193, 9000})); });
    adamw.add(parameter({4097, 32000}));  // gets AdamW
    DctAdamW coded(device(), {.rank = 8, .error_feedback = true, .error_bits = 8, .max_side = 1u << 30});
    expect("at most 524288", [&] { coded.add(parameter({2, 600000})); });
}

HERON_DEVICE_TESTS(SubspaceTest);

}  // namespace
}  // namespace heron::test
