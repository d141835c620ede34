// SPDX-License-Identifier: MIT
// Conda, Trion and DCT-AdamW: blocks of parameters, turns of bases, slots, refusals.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/refusal.hpp"
#include "optim/reference_subspace.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

class SubspaceTest : public DeviceTest {};

struct Blocks {
    Shape shape;
    MatrixView view;
    std::vector<Shape> shapes;  // of its matrices
};

std::vector<Blocks> blocks() {
    return {{{29, 6}, {.row_splits = {12, 12, 5}}, {{12, 6}, {12, 6}, {5, 6}}},
            {{3, 5, 9}, {.batch = true}, {{5, 9}, {5, 9}, {5, 9}}}};
}

// A matrix of a parameter is trained as one by itself.
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
        [=](const Device& on) { return std::make_unique<DctAdamW>(on, coded); }};
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
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        const std::vector<float> after = training.tensor(i).weight();
        double error = 0, update = 0, weight = 0;
        for (std::size_t k = 0; k < after.size(); ++k) {
            error += std::pow(after[k] - expected[i][k], 2);
            update += std::pow(expected[i][k] - before[i][k], 2);
            weight += expected[i][k] * expected[i][k];
        }
        EXPECT_LE(std::sqrt(error), 1e-4 * std::sqrt(update) + 8 * 0x1p-24 * std::sqrt(weight)) << i;
    }
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
    Trion trion(device(), {.rank = 8});
    expect("at most 4096", [&] { trion.add(parameter({4097, 5000})); });
    expect("give vectors to AdamW", [&] { trion.add(parameter({9})); });
    DctAdamW adamw(device(), {.rank = 8});
    expect("at most 4096", [&] { adamw.add(parameter({4097, 5000})); });
    adamw.add(parameter({4097, 32000}));  // gets AdamW
    DctAdamW coded(device(), {.rank = 8, .error_feedback = true, .error_bits = 8, .max_side = 1u << 30});
    expect("at most 524288", [&] { coded.add(parameter({2, 600000})); });
}

HERON_DEVICE_TESTS(SubspaceTest);

}  // namespace
}  // namespace heron::test
