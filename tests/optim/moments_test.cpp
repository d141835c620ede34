// SPDX-License-Identifier: MIT
// Moments that are kept in fewer bits: what is stored, against float64, and where the lost bits go.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <utility>

#include "optim/optimizer_checks.hpp"
#include "optim/reference.hpp"
#include "optim/reference_elementwise.hpp"
#include "optim/reference_low_rank.hpp"

namespace heron::test {
namespace {

constexpr double kU = 0x1p-24;
constexpr MomentFormat kBf16 = MomentFormat::bf16;

template <class Algorithm, class Options>
MakeOptimizer maker(const Options& options) {
    return [=](const Device& device) { return std::make_unique<Algorithm>(device, options); };
}

MuonOptions muon_of_momentum() {
    MuonOptions options;
    options.nesterov = false;
    options.moments = kBf16;
    return options;
}

// Whose momentum is of the gradient itself: factors are the identity.
SingdOptions singd_before_refreshes() {
    SingdOptions options;
    options.refresh.first = 1000;
    options.step.moments = kBf16;
    return options;
}
Shampoo4BitOptions shampoo4bit_before_roots(Shampoo4BitBase base) {
    Shampoo4BitOptions options;
    options.base = base;
    options.start_step = 1000;
    options.moments = kBf16;
    return options;
}

std::vector<float> moment(const Training& training, const std::string& name) {
    return decode(training.state_bytes(name), DType::bf16);
}
void set_moment(Training& training, const std::string& name, const std::vector<float>& values) {
    training.plan().write_state(name, encode(values, DType::bf16));
}

// One of the two neighbours in bf16 of what would be stored, but for roundings of its computation: of a sum
// of numbers of either sign, of up to 4, they may be large beside the sum.
void expect_neighbours(const std::vector<float>& stored, const std::vector<double>& exact, bool is_signed) {
    EXPECT_TRUE(within(stored, exact, [&](std::size_t i) {
        return (0x1p-7 + 4 * kU) * std::abs(exact[i]) + (is_signed ? 16 * kU : 0);
    }));
}

// A moment in 8 bits, as the header has it.
struct Block8 {
    std::vector<double> values, scales;  // scales by element, of the square for v

    Block8(const Training& training, const std::string& name, bool is_signed) {
        const std::vector<std::byte> codes = training.state_bytes(name);
        const std::vector<float> largest = training.state(name + "_scale");
        for (std::size_t i = 0; i < training.tensor().count(); ++i) {
            const double code = static_cast<double>(codes[i]), scale = largest[i / 256];
            const double q = is_signed ? (code - 127) / 127 : code / 255;
            scales.push_back(is_signed ? scale : scale * scale);
            values.push_back(scales.back() * (is_signed ? q * std::abs(q) : std::pow(q, 4)));
        }
    }
};

std::vector<float> floats(const std::vector<double>& x) { return {x.begin(), x.end()}; }

// One of the two levels of m around the exact one. `rounding`: of its computation.
void expect_levels(const Block8& kept, const std::vector<double>& exact, double rounding = 16 * kU) {
    EXPECT_TRUE(within(floats(kept.values), exact, [&](std::size_t i) {
        const double scale = kept.scales[i];
        return 2 * std::sqrt(std::abs(exact[i]) * scale) / 127 + scale / (127 * 127) + rounding;
    }));
}

class MomentsTest : public DeviceTest {
protected:
    // Two steps, from what is stored; both forms of access to memory.
    template <class Check>
    void on_both_forms(const Check& check) {
        check(device());
        if (device().capabilities().cpu) check(device({.cpu = true}));
    }
    void check_element_wise(Device& on, const MakeOptimizer& make, double lr, Reference& reference,
                            const std::vector<std::string>& names) {
        Training training(on, make, {{.name = "w", .shape = {64, 65}}});
        for (unsigned t = 1; t <= 3; ++t) {
            training.draw_gradients(t);
            const std::vector<float> before = training.tensor().weight();
            for (const std::string& name : names)
                reference.states[name] = doubles(moment(training, "w." + name));
            std::vector<double> w = doubles(before);
            reference.step(w, doubles(training.tensor().gradient_values()), t);
            training.plan().run();
            for (const std::string& name : names) {
                SCOPED_TRACE(name);
                expect_neighbours(moment(training, "w." + name), reference.states[name], name != "v");
            }
            // (What is subtracted is lr times such a sum.)
            EXPECT_TRUE(within(training.tensor().weight(), w, [&](std::size_t i) {
                return 16 * kU * (std::abs(w[i]) + std::abs(w[i] - static_cast<double>(before[i])) + lr);
            }));
        }
    }
    // Of optimizers whose one moment is called momentum; `lr` is the size of a step.
    void check_block8(Device& on, const MakeOptimizer& make, double lr, Reference& reference) {
        Training training(on, make, {{.name = "w", .shape = {67, 31}}});
        for (unsigned t = 1; t <= 4; ++t) {
            training.draw_gradients(t);
            const std::vector<float> before = training.tensor().weight();
            reference.states["momentum"] = Block8(training, "w.momentum", true).values;
            std::vector<double> w = doubles(before);
            reference.step(w, doubles(training.tensor().gradient_values()), t);
            training.plan().run();
            expect_levels(Block8(training, "w.momentum", true), reference.states["momentum"]);
            EXPECT_TRUE(within(training.tensor().weight(), w, [&](std::size_t i) {
                return 16 * kU * (std::abs(w[i]) + std::abs(w[i] - static_cast<double>(before[i])) + lr);
            }));
        }
    }
    // U is what is kept, in 8 bits what it was before it is rounded: elements of both blocks share scales.
    void check_muon_block8(Device& on) {
        MuonOptions options = muon_of_momentum();
        options.moments = MomentFormat::block8;
        Training training(on, maker<Muon>(options),
                          {{.name = "w", .shape = {30, 13}, .view = {.row_splits = {13, 17}}}});
        MuonOptions of_exact = options;
        of_exact.momentum = 0;
        MuonReference reference(of_exact, {{13, 13, 1.0}, {17, 13, std::sqrt(17.0 / 13)}});
        for (unsigned t = 1; t <= 3; ++t) {
            training.draw_gradients(t);
            const std::vector<float> before = training.tensor().weight();
            std::vector<double> exact = Block8(training, "w.momentum", true).values;
            for (std::size_t i = 0; i < exact.size(); ++i)
                exact[i] = options.momentum * exact[i] +
                           (1 - options.momentum) * training.tensor().gradient_values()[i];
            training.plan().run();
            expect_levels(Block8(training, "w.momentum", true), exact);
            std::vector<double> w = doubles(before);
            reference.step(w, exact, t);
            EXPECT_LE(update_error(before, training.tensor().weight(), w), 1e-4);
        }
    }
    // What becomes of a state x by a gradient g: x <- keep x + rate g (g^2 of v).
    void check_averages(Device& on, const MakeOptimizer& make,
                        const std::map<std::string, std::pair<double, double>>& averages) {
        Training training(on, make, {{.name = "w", .shape = {17, 13}}});
        for (unsigned t = 1; t <= 3; ++t) {
            training.draw_gradients(t);
            std::map<std::string, std::vector<double>> exact;
            for (const auto& [name, rule] : averages) {
                exact[name] = doubles(moment(training, "w." + name));
                for (std::size_t i = 0; i < exact[name].size(); ++i) {
                    const double g = training.tensor().gradient_values()[i];
                    exact[name][i] = rule.first * exact[name][i] + rule.second * (name == "v" ? g * g : g);
                }
            }
            training.plan().run();
            for (const auto& [name, values] : exact) {
                SCOPED_TRACE(name);
                expect_neighbours(moment(training, "w." + name), values, name != "v");
            }
        }
    }
    // Moments of the gradient's projection on the basis that the first step has found; a step is along what
    // they were before they are rounded. An odd number of them.
    void check_low_rank(Device& on, GaLoreInner inner) {
        const GaLoreOptions options{
            .rank = 3, .lr = 0.01f, .beta2 = 0.99, .eps = 0.05f, .moment_bits = 16, .inner = inner};
        const Shape shape{67, 11};
        Training training(on, maker<GaLore>(options), {{.name = "w", .shape = shape}});
        training.steps(1, 1);
        GaLoreReference reference(options, shape);
        reference.states["right"] = doubles(training.state("w.right"));
        std::vector<std::string> names{"m"};
        if (inner == GaLoreInner::adamw) names.emplace_back("v");
        for (unsigned t = 2; t <= 4; ++t) {
            training.draw_gradients(t);
            const std::vector<float> before = training.tensor().weight();
            for (const std::string& name : names)
                reference.states[name] = doubles(moment(training, "w." + name));
            std::vector<double> w = doubles(before);
            reference.step(w, doubles(training.tensor().gradient_values()), t);
            training.plan().run();
            for (const std::string& name : names) {
                SCOPED_TRACE(name);
                // Projections are sums of eleven products.
                EXPECT_TRUE(within(moment(training, "w." + name), reference.states[name], [&](std::size_t i) {
                    return 0x1p-7 * std::abs(reference.states[name][i]) + 64 * kU;
                }));
            }
            // (Lion's are signs, of numbers that may be zero to rounding.)
            if (inner == GaLoreInner::adamw) {
                EXPECT_LE(update_error(before, training.tensor().weight(), w), 1e-4);
            }
        }
    }
    // U is what is kept, not what it was before it was rounded: the norm has to be that of what it divides.
    void check_muon(Device& on, bool one_workgroup) {
        MuonOptions options = muon_of_momentum();
        options.polar.one_workgroup = one_workgroup;
        // The second block begins with an odd element: it shares a word with the first.
        Training training(on, maker<Muon>(options),
                          {{.name = "w", .shape = {30, 13}, .view = {.row_splits = {13, 17}}}});
        std::vector<double> exact(training.tensor().count(), 0.0);
        MuonOptions of_kept = options;
        of_kept.momentum = 0;
        MuonReference reference(of_kept, {{13, 13, 1.0}, {17, 13, std::sqrt(17.0 / 13)}});
        for (unsigned t = 1; t <= 3; ++t) {
            training.draw_gradients(t);
            const std::vector<float> before = training.tensor().weight();
            const std::vector<double> old = doubles(moment(training, "w.momentum"));
            for (std::size_t i = 0; i < exact.size(); ++i)
                exact[i] = options.momentum * old[i] +
                           (1 - options.momentum) * training.tensor().gradient_values()[i];
            training.plan().run();
            const std::vector<float> kept = moment(training, "w.momentum");
            expect_neighbours(kept, exact, true);
            std::vector<double> w = doubles(before);
            reference.step(w, doubles(kept), t);
            EXPECT_LE(update_error(before, training.tensor().weight(), w), 1e-4);
        }
    }
};

TEST_P(MomentsTest, AStateHasTwoBytesAnElementOrOne) {
    const std::vector<Training::Group> groups{
        {maker<AdamW>(AdamWOptions{.moments = kBf16}), {{.name = "adamw", .shape = {3, 5}}}},
        {maker<Lion>(LionOptions{.moments = kBf16}), {{.name = "lion", .shape = {3, 5}}}},
        {maker<Sgd>(SgdOptions{.momentum = 0.9, .moments = kBf16}), {{.name = "sgd", .shape = {3, 5}}}},
        {maker<Muon>(muon_of_momentum()), {{.name = "muon", .shape = {3, 5}}}},
        {maker<Kfac>(KfacOptions{.step = {.moments = kBf16}}), {{.name = "kfac", .shape = {3, 5}}}},
        {maker<Mkor>(MkorOptions{.step = {.moments = kBf16}}), {{.name = "mkor", .shape = {3, 5}}}},
        {maker<PsgdLra>(PsgdLraOptions{.rank = 3, .momentum = 0.9, .moments = kBf16}),
         {{.name = "psgd", .shape = {3, 5}}}},
        {maker<Shampoo4Bit>(shampoo4bit_before_roots(Shampoo4BitBase::adamw)),
         {{.name = "shampoo4bit", .shape = {3, 5}}}},
        {maker<Conda>(CondaOptions{.moments = kBf16}), {{.name = "conda", .shape = {3, 5}}}},
        {maker<GaLore>(GaLoreOptions{.moment_bits = 16}), {{.name = "galore", .shape = {3, 5}}}},
        {maker<SignSgd>(SignSgdOptions{.moments = MomentFormat::block8}),
         {{.name = "block8", .shape = {3, 100}}}}};
    Training training(device(), groups);
    EXPECT_EQ(training.state_bytes("block8.momentum").size(), 512u);
    EXPECT_EQ(training.state_bytes("block8.momentum_scale").size(), 8u);
    for (const char* name : {"adamw.m", "adamw.v", "lion.momentum", "sgd.momentum", "muon.momentum",
                             "kfac.momentum", "mkor.momentum", "psgd.momentum", "shampoo4bit.m",
                             "shampoo4bit.v", "conda.m", "conda.v", "galore.m", "galore.v"}) {
        EXPECT_EQ(training.plan().state_view(name).dtype, DType::bf16) << name;
        EXPECT_EQ(training.state_bytes(name).size(), 30u) << name;
    }
}

TEST_P(MomentsTest, MomentsAreNeighboursOfTheExactOnes) {
    on_both_forms([&](Device& on) {
        const AdamWOptions adamw{.lr = 0.01f, .moments = kBf16};
        AdamWReference adamw_reference(adamw);
        check_element_wise(on, maker<AdamW>(adamw), 0.01, adamw_reference, {"m", "v"});
        const SgdOptions sgd{.lr = 0.1f, .momentum = 0.9, .nesterov = true, .moments = kBf16};
        SgdReference sgd_reference(sgd);
        check_element_wise(on, maker<Sgd>(sgd), 0.1, sgd_reference, {"momentum"});
        const RandomScalingSgdOptions scaled{.lr = 0.1f, .beta = 0.9, .mu = 0.5f, .moments = kBf16};
        RandomScalingSgdReference scaled_reference(scaled);
        check_element_wise(on, maker<RandomScalingSgd>(scaled), 0.1, scaled_reference, {"momentum"});
        check_muon(on, true);
        check_muon(on, false);
        check_averages(on, maker<Mousse>(MousseOptions{.moments = kBf16}), {{"momentum", {0.95, 1.0}}});
        check_averages(on, maker<Fismo>(FismoOptions{.moments = kBf16}), {{"momentum", {0.95, 0.05}}});
        check_averages(on, maker<Shampoo>(ShampooOptions{.beta2 = 0.99, .moments = kBf16}),
                       {{"m", {0.9, 0.1}}, {"v", {0.999, 0.001}}});
        check_averages(on, maker<Conda>(CondaOptions{.moments = kBf16}), {{"m", {0.9, 0.1}}});
        check_low_rank(on, GaLoreInner::adamw);
        check_low_rank(on, GaLoreInner::lion);
        check_averages(on, maker<Singd>(singd_before_refreshes()), {{"momentum", {0.9, 1.0}}});
        check_averages(on, maker<KronTorch>(KronTorchOptions{.moments = kBf16}), {{"momentum", {0.9, 0.1}}});
        check_averages(on, maker<Shampoo4Bit>(shampoo4bit_before_roots(Shampoo4BitBase::sgd)),
                       {{"momentum", {0.9, 1.0}}});
        check_averages(on, maker<Shampoo4Bit>(shampoo4bit_before_roots(Shampoo4BitBase::adamw)),
                       {{"m", {0.9, 0.1}}, {"v", {0.999, 0.001}}});
    });
}

// All lines are taken out of M, and all decay: M is rounded twice in a step.
TEST_P(MomentsTest, LinesThatAreTakenOutAreRoundedTwice) {
    on_both_forms([&](Device& on) {
        for (const Shape& shape : {Shape{13, 17}, Shape{17, 13}}) {
            Training training(on, maker<Dion2>(Dion2Options{.fraction = 1.0, .moments = kBf16}),
                              {{.name = "w", .shape = shape}});
            for (unsigned t = 1; t <= 3; ++t) {
                training.draw_gradients(t);
                std::vector<double> exact = doubles(moment(training, "w.momentum"));
                for (std::size_t i = 0; i < exact.size(); ++i)
                    exact[i] = 0.95 * (exact[i] + training.tensor().gradient_values()[i]);
                training.plan().run();
                EXPECT_TRUE(within(moment(training, "w.momentum"), exact, [&](std::size_t i) {
                    return (2 * 0x1p-7 + 0x1p-14 + 4 * kU) * std::abs(exact[i]) + 16 * kU;
                }));
            }
        }
    });
}

// b = g in every step from b = 0: so many draws for one number, whose lost bits are 0.3 of a unit.
TEST_P(MomentsTest, RoundingIsUnbiasedAndDrawnAnewForEveryElementStepAndTensor) {
    constexpr std::size_t kCount = 20000;
    constexpr double kShare = 0.3;
    constexpr float kUnit = 0x1p-7f;
    const float g = 1.0f + static_cast<float>(kShare) * kUnit;
    Training training(device(), maker<Sgd>(SgdOptions{.momentum = 0.5, .moments = kBf16}),
                      {{.name = "a", .shape = {kCount}}, {.name = "b", .shape = {kCount}}});
    std::vector<std::vector<float>> draws;
    for (int step = 0; step < 2; ++step)
        for (const std::size_t i : {0u, 1u}) {
            training.tensor(i).set_gradient(std::vector<float>(kCount, g));
            set_moment(training, i == 0 ? "a.momentum" : "b.momentum", std::vector<float>(kCount, 0.0f));
            if (i == 0) continue;
            training.plan().run();
            draws.push_back(moment(training, "a.momentum"));
            draws.push_back(moment(training, "b.momentum"));
        }
    // Five standard deviations of a binomial distribution's mean.
    const auto deviation = [](double p) { return 5 * std::sqrt(p * (1 - p) / kCount); };
    const auto share = [](const auto& holds) {
        std::size_t count = 0;
        for (std::size_t i = 0; i < kCount; ++i) count += holds(i) ? 1 : 0;
        return static_cast<double>(count) / kCount;
    };
    constexpr double kEqual = kShare * kShare + (1 - kShare) * (1 - kShare);
    for (const std::vector<float>& values : draws) {
        const double up = share([&](std::size_t i) { return values[i] == 1.0f + kUnit; });
        const double down = share([&](std::size_t i) { return values[i] == 1.0f; });
        EXPECT_EQ(up + down, 1.0);
        // (16 random bits)
        EXPECT_NEAR(up, kShare, deviation(kShare) + 0x1p-16);
        const double equal = share([&](std::size_t i) { return values[i] == values[(i + 1) % kCount]; });
        EXPECT_NEAR(equal, kEqual, 1.5 * deviation(kEqual));  // neighbouring pairs share an element
    }
    for (std::size_t x = 0; x < draws.size(); ++x)
        for (std::size_t y = 0; y < x; ++y)
            EXPECT_NEAR(share([&](std::size_t i) { return draws[x][i] == draws[y][i]; }), kEqual,
                        deviation(kEqual));
}

// Roundings are drawn by the parameter's name, whatever stands before it in the plan.
TEST_P(MomentsTest, RoundingIsTheSameBesideOtherParameters) {
    constexpr std::size_t kCount = 1000;
    const MakeOptimizer make = maker<Sgd>(SgdOptions{.momentum = 0.5, .moments = kBf16});
    const TestTensor w{.name = "w", .shape = {kCount}}, other{.name = "other", .shape = {kCount}};
    Training alone(device(), make, {w}), beside(device(), make, {other, w});
    const std::vector<float> gradient = normal_values(kCount, 1);
    alone.tensor().set_gradient(gradient);
    for (const std::size_t i : {0u, 1u}) beside.tensor(i).set_gradient(gradient);
    alone.plan().run();
    beside.plan().run();
    EXPECT_EQ(moment(beside, "w.momentum"), moment(alone, "w.momentum"));
    EXPECT_NE(moment(beside, "other.momentum"), moment(alone, "w.momentum"));
}

// v <- 0.999 v moves v by a quarter of a unit in the last place: rounding to nearest would leave it at 1.
TEST_P(MomentsTest, StepsBelowHalfAUnitAreNotLost) {
    constexpr std::size_t kCount = 4096;
    constexpr unsigned kSteps = 300;
    ASSERT_EQ(rounded(0.999, DType::bf16), 1.0f);
    Training training(device(), maker<AdamW>(AdamWOptions{.beta2 = 0.999, .moments = kBf16}),
                      {{.name = "w", .shape = {kCount}}});
    set_moment(training, "w.v", std::vector<float>(kCount, 1.0f));
    training.tensor().set_gradient(std::vector<float>(kCount, 0.0f));
    for (unsigned step = 0; step < kSteps; ++step) training.plan().run();
    double mean = 0;
    for (const float v : moment(training, "w.v")) mean += static_cast<double>(v) / kCount;
    // Every step adds an error of standard deviation 2^-8 at most, to a v of 1 at most.
    EXPECT_NEAR(mean, std::pow(0.999, kSteps), 5 * 0x1p-8 * std::sqrt(kSteps) / std::sqrt(kCount));
}

TEST_P(MomentsTest, BlocksOf8BitsHoldTheLevelsAroundTheExactOnes) {
    on_both_forms([&](Device& on) {
        const AdamWOptions options{.lr = 0.01f, .beta2 = 0.9, .moments = MomentFormat::block8};
        Training training(on, maker<AdamW>(options), {{.name = "w", .shape = {67, 31}}});
        EXPECT_EQ(training.state_bytes("w.m").size(), 9u * 256);
        EXPECT_EQ(training.state_bytes("w.v_scale").size(), 9u * 4);
        AdamWReference reference(options);
        for (unsigned t = 1; t <= 4; ++t) {
            training.draw_gradients(t);
            const std::vector<float> before = training.tensor().weight();
            reference.states = {{"m", Block8(training, "w.m", true).values},
                                {"v", Block8(training, "w.v", false).values}};
            std::vector<double> w = doubles(before);
            reference.step(w, doubles(training.tensor().gradient_values()), t);
            training.plan().run();
            expect_levels(Block8(training, "w.m", true), reference.states["m"]);
            const Block8 kept(training, "w.v", false);
            const std::vector<double>& v = reference.states["v"];
            EXPECT_TRUE(within(floats(kept.values), v, [&](std::size_t i) {
                const double q = 255 * std::pow(v[i] / kept.scales[i], 0.25);
                const double gap = std::pow((q + 1) / 255, 4) - std::pow(std::max(q - 1, 0.0) / 255, 4);
                return (gap + 16 * kU) * kept.scales[i];
            }));
            for (std::size_t i = 0; i < v.size(); ++i)
                if (v[i] > 0) EXPECT_GT(kept.values[i], 0) << i;
            // (Roots are off by some units.)
            EXPECT_TRUE(within(training.tensor().weight(), w, [&](std::size_t i) {
                return 16 * kU *
                       (std::abs(w[i]) + 2 * std::abs(w[i] - static_cast<double>(before[i])) + 0.01);
            }));
        }
    });
}

TEST_P(MomentsTest, AnyMomentumMayHave8Bits) {
    constexpr MomentFormat kBlock8 = MomentFormat::block8;
    on_both_forms([&](Device& on) {
        const LionOptions lion{.lr = 0.01f, .weight_decay = 0.1f, .moments = kBlock8};
        LionReference lion_reference(lion);
        check_block8(on, maker<Lion>(lion), 0.01, lion_reference);
        const SgdOptions sgd{
            .lr = 0.1f, .momentum = 0.9, .nesterov = true, .weight_decay = 0.1f, .moments = kBlock8};
        SgdReference sgd_reference(sgd);
        check_block8(on, maker<Sgd>(sgd), 0.4, sgd_reference);
        const SignSgdOptions signum{.lr = 0.01f, .moments = kBlock8};
        SignSgdReference signum_reference(signum, 1.0);
        check_block8(on, maker<SignSgd>(signum), 0.01, signum_reference);
        const RandomScalingSgdOptions scaled{.lr = 0.1f, .beta = 0.9, .moments = kBlock8};
        RandomScalingSgdReference scaled_reference(scaled);
        check_block8(on, maker<RandomScalingSgd>(scaled), 1.0, scaled_reference);
        check_muon_block8(on);
    });
}

// 127 sqrt(0.3) = 69.56: m between two levels; v falls by less than half a level.
TEST_P(MomentsTest, BlocksOf8BitsAreUnbiased) {
    constexpr std::size_t kCount = 64 * 256;
    constexpr unsigned kSteps = 100;
    const AdamWOptions options{.beta1 = 0.0, .beta2 = 0.998, .moments = MomentFormat::block8};
    Training training(device(), maker<AdamW>(options), {{.name = "w", .shape = {kCount}}});
    std::vector<float> gradient(kCount, 0.3f);
    for (std::size_t i = 0; i < kCount; i += 256) gradient[i] = 1.0f;
    training.tensor().set_gradient(gradient);
    training.plan().run();
    const auto mean = [&](const std::vector<double>& values) {
        double sum = 0;
        for (std::size_t i = 0; i < kCount; ++i)
            if (i % 256 != 0) sum += values[i];
        constexpr std::size_t kOthers = kCount / 256 * 255;
        return sum / kOthers;
    };
    // Half of the distance between two levels, five standard deviations of the mean, 16 random bits.
    const double gap = (70.0 * 70 - 69.0 * 69) / (127 * 127);
    EXPECT_NEAR(mean(Block8(training, "w.m", true).values), 0.3,
                2.5 * gap / std::sqrt(kCount) + 0x1p-16 * gap + 8 * kU);

    // All of a block's alike: a scale of 1, code 255.
    training.plan().write_state("w.v", std::vector<std::byte>(kCount, std::byte{255}));
    training.set_state("w.v_scale", std::vector<float>(kCount / 256, 1.0f));
    training.tensor().set_gradient(std::vector<float>(kCount, 0.0f));
    for (unsigned step = 0; step < kSteps; ++step) training.plan().run();
    EXPECT_NEAR(mean(Block8(training, "w.v", false).values), std::pow(0.998, kSteps),
                2.5 * (4.0 / 255) * std::sqrt(kSteps) / std::sqrt(kCount));
}

TEST_P(MomentsTest, RepetitionSlicesAndResumptionGiveTheSameBits) {
    ScionOptions scion{.momentum = 0.9, .norm = ScionNorm::sign, .moments = kBf16};
    ScionOptions block8 = scion;
    block8.moments = MomentFormat::block8;
    const auto another_scion = [=](const Device& on) {
        auto optimizer = std::make_unique<Scion>(on, block8);
        optimizer->set_name("scion8");
        return optimizer;
    };
    const std::vector<Training::Group> groups{
        {maker<Lion>(LionOptions{.moments = kBf16}), {{.name = "lion", .shape = {67}}}},
        {maker<SignSgd>(SignSgdOptions{.moments = kBf16}), {{.name = "signum", .shape = {67}}}},
        {maker<Muon>(muon_of_momentum()),
         {{.name = "muon", .shape = {30, 13}, .view = {.row_splits = {13, 17}}}}},
        {maker<NorMuon>(NorMuonOptions{.moments = kBf16}), {{.name = "normuon", .shape = {9, 7}}}},
        {maker<AdaMuon>(AdaMuonOptions{.moments = kBf16}), {{.name = "adamuon", .shape = {9, 7}}}},
        {maker<Auon>(AuonOptions{.nesterov = false, .moments = kBf16}), {{.name = "auon", .shape = {9, 7}}}},
        {maker<Scion>(scion), {{.name = "scion", .shape = {30, 13}, .view = {.row_splits = {13, 17}}}}},
        {maker<Mousse>(MousseOptions{.moments = kBf16}), {{.name = "mousse", .shape = {9, 7}}}},
        {maker<Fismo>(FismoOptions{.moments = kBf16}), {{.name = "fismo", .shape = {9, 7}}}},
        {maker<Dion2>(Dion2Options{.moments = kBf16}), {{.name = "dion2", .shape = {9, 7}}}},
        {maker<NorDion2>(NorDion2Options{.moments = kBf16}), {{.name = "nordion2", .shape = {9, 7}}}},
        {maker<Shampoo>(ShampooOptions{.momentum = 0.9, .moments = kBf16}),
         {{.name = "shampoo", .shape = {9, 7}}}},
        {maker<Conda>(CondaOptions{.moments = kBf16}), {{.name = "conda", .shape = {9, 7}}}},
        {maker<Kfac>(KfacOptions{.step = {.nesterov = true, .moments = kBf16}}),
         {{.name = "kfac", .shape = {9, 7}}}},
        {maker<PsgdKron>(PsgdKronOptions{.momentum = 0.9, .moments = kBf16}),
         {{.name = "psgd", .shape = {9, 7}}}},
        {maker<KronTorch>(KronTorchOptions{.moments = kBf16}), {{.name = "kron", .shape = {9, 7}}}},
        {maker<Shampoo4Bit>(Shampoo4BitOptions{.nesterov = true, .moments = kBf16}),
         {{.name = "shampoo4bit", .shape = {9, 7}}}},
        {maker<RandomScalingSgd>(RandomScalingSgdOptions{.moments = MomentFormat::block8}),
         {{.name = "scaled", .shape = {300}}}},
        {another_scion, {{.name = "scion8", .shape = {30, 13}, .view = {.row_splits = {13, 17}}}}}};
    const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                       ("heron_moments_" + std::to_string(GetParam().index) + ".safetensors");
    const StepOptions options{.seed = 7};
    Training whole(device(), groups, options);
    whole.steps(1, 2);
    save_checkpoint(whole.plan(), file);
    whole.steps(3, 2);
    Training resumed(device(), groups, options, 50);
    load_checkpoint(resumed.plan(), file);
    Commands commands(device());
    for (unsigned step = 3; step <= 4; ++step) {
        resumed.draw_gradients(step);
        run_sliced(resumed, commands);
    }
    EXPECT_TRUE(resumed.bits() == whole.bits());
    std::filesystem::remove(file);

    Training other(device(), groups, {.seed = 8});
    other.steps(1, 4);
    EXPECT_FALSE(other.bits() == whole.bits());
}

TEST_P(MomentsTest, WhatNeedsF32IsRefused) {
    expect_option_refused<AdamW, AdamWOptions>(device(), "moments", [](AdamWOptions& options) {
        options.amsgrad = true;
        options.moments = kBf16;
    });
    expect_option_refused<Muon, MuonOptions>(device(), "moments",
                                             [](MuonOptions& options) { options.moments = MomentFormat(9); });
    expect_option_refused<Dion2, Dion2Options>(
        device(), "moments", [](Dion2Options& options) { options.moments = MomentFormat::block8; });
    expect_option_refused<Shampoo, ShampooOptions>(
        device(), "moments", [](ShampooOptions& options) { options.moments = MomentFormat::block8; });
    expect_option_refused<Conda, CondaOptions>(
        device(), "moments", [](CondaOptions& options) { options.moments = MomentFormat::block8; });
    expect_option_refused<Kfac, KfacOptions>(
        device(), "moments", [](KfacOptions& options) { options.step.moments = MomentFormat::block8; });
    expect_option_refused<Mkor, MkorOptions>(device(), "moments", [](MkorOptions& options) {
        options.base = MkorBase::adam;
        options.step.moments = kBf16;
    });
    expect_option_refused<PsgdKron, PsgdKronOptions>(
        device(), "moments", [](PsgdKronOptions& options) { options.moments = MomentFormat::block8; });
    expect_option_refused<PsgdLra, PsgdLraOptions>(
        device(), "moments", [](PsgdLraOptions& options) { options.moments = MomentFormat::block8; });
    expect_option_refused<KronTorch, KronTorchOptions>(
        device(), "moments", [](KronTorchOptions& options) { options.moments = MomentFormat::block8; });
    expect_option_refused<Shampoo4Bit, Shampoo4BitOptions>(
        device(), "moments", [](Shampoo4BitOptions& options) { options.moments = MomentFormat::block8; });
    expect_option_refused<Fismo, FismoOptions>(device(), "moments", [](FismoOptions& options) {
        options.momentum_space = MomentumSpace::whitened;
        options.moments = MomentFormat::block8;
    });
    const auto lookahead = [](const Device& on) {
        return std::make_unique<Lookahead>(on, maker<Lion>(LionOptions{.moments = MomentFormat::block8})(on),
                                           LookaheadOptions{.momentum = LookaheadMomentum::pullback});
    };
    expect_refused([&] { Training unused(device(), lookahead, {{.name = "w", .shape = {4}}}); },
                   {"8 bits", "f32 or bf16", "\"w\""});
}

HERON_DEVICE_TESTS(MomentsTest);

}  // namespace
}  // namespace heron::test
