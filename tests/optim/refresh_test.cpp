// SPDX-License-Identifier: MIT
// Refresh policies: which step carries which refresh.
#include "optim/refresh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "optim/psgd_factors.hpp"
#include "optim/training.hpp"

namespace heron::test {
namespace {

// Steps (from 1) up to `count` in which a section runs.
std::vector<std::uint32_t> steps_of(const Section& section, std::uint32_t count) {
    std::vector<std::uint32_t> steps;
    for (std::uint32_t t = 1; t <= count; ++t)
        if (section.runs(t - 1)) steps.push_back(t);
    return steps;
}

using Steps = std::vector<std::uint32_t>;

TEST(RefreshPolicy, FixedIntervalsHaveOneStepEach) {
    const RefreshPolicy policy{.interval = 4};
    EXPECT_EQ(steps_of(refresh_section(policy, 0, 0), 13), (Steps{4, 8, 12}));
    EXPECT_EQ(steps_of(refresh_section(policy, 1, 0), 13), (Steps{1, 5, 9, 13}));
    EXPECT_EQ(steps_of(refresh_section(policy, 6, 0), 13), (Steps{2, 6, 10}));
    EXPECT_EQ(steps_of(refresh_section(policy, 0, 1), 13), (Steps{1, 5, 9, 13}));
    EXPECT_EQ(steps_of(refresh_section({.interval = 4, .stagger = false}, 6, 0), 13), (Steps{4, 8, 12}));
    EXPECT_EQ(steps_of(refresh_section({}, 3, 0), 3), (Steps{1, 2, 3}));
    EXPECT_TRUE(refresh_section({}, 3, 0).every_step());
}

TEST(RefreshPolicy, TogetherNothingIsRenewedBeforeTheFirstAndEverythingInIt) {
    const RefreshPolicy policy{.interval = 4, .stagger = false, .first = 6};
    for (const std::uint32_t index : {0u, 1u, 6u})
        EXPECT_EQ(steps_of(refresh_section(policy, index, 0), 13), (Steps{6, 8, 12}));
    EXPECT_EQ(steps_of(refresh_section({.first = 3}, 0, 0), 5), (Steps{3, 4, 5}));
}

// No step carries more than its share, the first ones included.
TEST(RefreshPolicy, StaggeredFirstRefreshesTakeTurns) {
    const RefreshPolicy policy{.interval = 4, .first = 6};
    EXPECT_EQ(steps_of(refresh_section(policy, 0, 0), 13), (Steps{8, 12}));
    EXPECT_EQ(steps_of(refresh_section(policy, 1, 0), 13), (Steps{9, 13}));
    EXPECT_EQ(steps_of(refresh_section(policy, 2, 0), 13), (Steps{6, 10}));
    for (std::uint32_t t = 1; t <= 20; ++t) {
        std::uint32_t carried = 0;
        for (std::uint32_t k = 0; k < 8; ++k) carried += refresh_section(policy, k, 1).runs(t - 1) ? 1 : 0;
        EXPECT_EQ(carried, t < 6 ? 0u : 2u) << t;
    }
}

TEST(RefreshPolicy, TheNextRunIsTheFirstStepThatRuns) {
    for (const RefreshPolicy& policy :
         {RefreshPolicy{}, RefreshPolicy{.interval = 5}, RefreshPolicy{.interval = 5, .first = 8},
          RefreshPolicy{.interval = 5, .stagger = false, .first = 8},
          RefreshPolicy{.interval = 3, .growth = 7, .doublings = 3},
          RefreshPolicy{.interval = 3, .growth = 1, .doublings = 4, .first = 2}})
        for (std::uint32_t index = 0; index < 50; index += 7) {
            const Section section = refresh_section(policy, index, 1);
            for (std::uint32_t from = 0; from < 60; ++from) {
                std::uint32_t step = from;
                while (!section.runs(step)) ++step;
                EXPECT_EQ(section.next_run(from), step) << policy.interval << " " << index << " " << from;
            }
        }
    // Far away in few steps, and where it ends.
    const Section late = refresh_section({.interval = 10000, .growth = 1, .doublings = 16}, 0, 0);
    EXPECT_EQ(late.next_run(1), 655359999u);
    EXPECT_TRUE(late.runs(655359999u));
}

TEST(RefreshPolicy, GrowingIntervalsDoubleAndKeepTheMatricesApart) {
    const RefreshPolicy policy{.interval = 2, .growth = 8, .doublings = 2};
    // Steps 1 to 8: every second; 9 to 16: every fourth; from 17 on every eighth.
    EXPECT_EQ(steps_of(refresh_section(policy, 0, 0), 33), (Steps{2, 4, 6, 8, 12, 16, 24, 32}));
    EXPECT_EQ(steps_of(refresh_section(policy, 3, 0), 33), (Steps{1, 3, 5, 7, 11, 15, 19, 27}));
    // As many as the interval is long: one a step.
    for (const std::uint32_t t : {3u, 11u, 25u, 1000u}) {
        std::uint32_t carried = 0;
        for (std::uint32_t k = 0; k < 8; ++k) carried += refresh_section(policy, k, 0).runs(t - 1) ? 1 : 0;
        EXPECT_EQ(carried, t <= 8 ? 4u : t <= 16 ? 2u : 1u) << t;
    }
    const Section late = refresh_section({.interval = 10000, .growth = 1, .doublings = 16}, 0, 0);
    EXPECT_EQ(late.interval_at(0xfffffffeu), 655360000u);
}

using Turns = std::vector<std::uint32_t>;

TEST(RefreshPolicy, SmallMatricesShareATurn) {
    const RefreshPolicy policy{.interval = 10, .turn_flops = 3};
    EXPECT_EQ(refresh_turns(policy, std::vector<double>(3, 1)), (Turns{0, 0, 0}));
    EXPECT_EQ(refresh_turns(policy, std::vector<double>(7, 1)), (Turns{0, 1, 2, 0, 1, 2, 0}));
    // Beside one that is dearer than all others together these have one turn, too.
    EXPECT_EQ(refresh_turns(policy, std::vector<double>{2, 2, 100, 2, 2, 2}), (Turns{1, 1, 0, 1, 1, 1}));
    // As many turns as are needed, and none of them fuller than it must be.
    const std::vector<double> several{1000, 1, 1, 1, 999, 500, 500};
    EXPECT_EQ(refresh_turns(policy, several), (Turns{0, 2, 3, 2, 1, 2, 3}));
    EXPECT_EQ(refresh_turns({.interval = 10}, several), Turns(7, 0));
    EXPECT_EQ(refresh_turns({.interval = 10, .turn_flops = 0}, several), (Turns{0, 1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(refresh_turns({.interval = 10, .stagger = false, .turn_flops = 0}, several), Turns(7, 0));
    EXPECT_EQ(refresh_turns(policy, {}), Turns());
}

// No turn takes more than the room that there is, or, where the interval is too short for that, its part of
// all and one matrix. With growth the longest interval counts.
TEST(RefreshPolicy, NoTurnTakesMoreThanItsShare) {
    std::mt19937 random(7);
    for (const std::size_t count : {1u, 5u, 40u, 300u})
        for (const std::uint32_t interval : {1u, 3u, 25u})
            for (const std::uint32_t growth : {0u, 1u}) {
                std::vector<double> flops;
                for (std::size_t k = 0; k < count; ++k)
                    flops.push_back(static_cast<double>(1 + random() % 1000));
                const RefreshPolicy policy{.interval = interval, .growth = growth, .turn_flops = 700};
                const std::uint32_t most = interval << (growth > 0 ? policy.doublings : 0);
                std::vector<double> loads(most, 0);
                const Turns turns = refresh_turns(policy, flops);
                ASSERT_EQ(turns.size(), count);
                for (std::size_t k = 0; k < count; ++k) {
                    ASSERT_LT(turns[k], most);
                    loads[turns[k]] += flops[k];
                }
                const double dearest = *std::ranges::max_element(flops),
                             all = std::accumulate(flops.begin(), flops.end(), 0.0);
                EXPECT_LE(*std::ranges::max_element(loads), std::max(700.0, all / most + dearest))
                    << count << " in " << interval;
            }
}

class RefreshTest : public DeviceTest {
protected:
    // Runs the optimizer and says in which steps each tensor's state changes.
    std::vector<Steps> changes(const MakeOptimizer& make, const std::string& state, std::uint32_t steps,
                               bool sliced) {
        std::vector<TestTensor> tensors;
        for (const char* name : {"a", "b", "c", "d"}) tensors.push_back({.name = name, .shape = {3, 4}});
        Training training(device(), make, tensors);
        Commands commands(device());
        std::vector<Steps> result(tensors.size());
        for (std::uint32_t t = 1; t <= steps; ++t) {
            training.draw_gradients(t);
            std::vector<std::vector<std::byte>> before;
            for (const TestTensor& tensor : tensors)
                before.push_back(training.state_bytes(tensor.name + state));
            if (!sliced) training.plan().run();
            for (bool complete = !sliced; !complete;) {
                const VkCommandBuffer slice = commands.begin();
                complete = training.plan().record_slice(slice, {.max_dispatches = 3}).complete;
                commands.end(slice);
                commands.submit(slice);
            }
            for (std::size_t i = 0; i < tensors.size(); ++i)
                if (!(training.state_bytes(tensors[i].name + state) == before[i])) result[i].push_back(t);
        }
        return result;
    }
};

// What the GPU runs is what Section::runs says, whole and in slices, for every optimizer that has a policy.
TEST_P(RefreshTest, StatesChangeInTheStepsOfTheirTurns) {
    const RefreshPolicy policy{.interval = 2, .growth = 4, .doublings = 1, .turn_flops = 0};
    const auto expected = [&](const RefreshPolicy& p, std::uint32_t origin, std::uint32_t steps) {
        std::vector<Steps> result;
        for (std::uint32_t k = 0; k < 4; ++k)
            result.push_back(steps_of(refresh_section(p, k, origin), steps));
        return result;
    };
    const auto fismo = [&](const Device& on) {
        return std::make_unique<Fismo>(on, FismoOptions{.refresh = policy});
    };
    EXPECT_EQ(changes(fismo, ".P", 9, false), expected(policy, 1, 9));
    EXPECT_EQ(changes(fismo, ".P", 9, true), expected(policy, 1, 9));
    const auto mousse = [&](const Device& on) {
        return std::make_unique<Mousse>(on, MousseOptions{.refresh = policy});
    };
    EXPECT_EQ(changes(mousse, ".L_whitener", 6, false), expected(policy, 1, 6));
    const auto four_bits = [&](const RefreshPolicy& statistics, const RefreshPolicy& roots) {
        return [=](const Device& on) {
            return std::make_unique<Shampoo4Bit>(
                on, Shampoo4BitOptions{.epsilon = 1e-2f, .statistics = statistics, .roots = roots});
        };
    };
    EXPECT_EQ(changes(four_bits(policy, {}), ".eigenvalues0", 6, false), expected(policy, 0, 6));
    EXPECT_EQ(changes(four_bits({}, policy), ".root0", 6, false), expected(policy, 0, 6));
    RefreshPolicy late = policy;
    late.first = 3;
    const auto shampoo = [&](const Device& on) {
        return std::make_unique<Shampoo>(on, ShampooOptions{.epsilon = 1e-3f, .refresh = late});
    };
    EXPECT_EQ(changes(shampoo, ".factor0_whitener", 9, true), expected(late, 0, 9));
    const auto kfac = [&](const Device& on) {
        return std::make_unique<Kfac>(on, KfacOptions{.refresh = policy});
    };
    EXPECT_EQ(changes(kfac, ".A_inverse", 9, false), expected(policy, 1, 9));
    EXPECT_EQ(changes(kfac, ".A_inverse", 9, true), expected(policy, 1, 9));
    RefreshPolicy together = late;
    together.stagger = false;
    const auto kfac_together = [&](const Device& on) {
        return std::make_unique<Kfac>(on, KfacOptions{.refresh = together});
    };
    EXPECT_EQ(changes(kfac_together, ".A_inverse", 9, false), expected(together, 1, 9));
    const auto singd = [&](const Device& on) {
        return std::make_unique<Singd>(on, SingdOptions{.refresh = policy});
    };
    EXPECT_EQ(changes(singd, ".K", 9, false), expected(policy, 1, 9));
    const auto psgd = [&](const Device& on) {
        return std::make_unique<PsgdKron>(
            on, PsgdKronOptions{.initial_scale = 1.0f, .refresh = policy, .balance_probability = 0.0f});
    };
    EXPECT_EQ(changes(psgd, ".Q0", 9, false), expected(policy, 1, 9));
    EXPECT_EQ(changes(psgd, ".Q0", 9, true), expected(policy, 1, 9));
    const auto kron = [&](const Device& on) {
        return std::make_unique<KronTorch>(
            on, KronTorchOptions{.update_schedule = {}, .refresh = late, .balance_probability = 0.0f});
    };
    EXPECT_EQ(changes(kron, ".Q1", 9, false), expected(late, 1, 9));
    EXPECT_EQ(changes(kron, ".Q1", 9, true), expected(late, 1, 9));
    const auto psgd_together = [&](const Device& on) {
        return std::make_unique<PsgdKron>(
            on, PsgdKronOptions{.initial_scale = 1.0f, .refresh = together, .balance_probability = 0.0f});
    };
    EXPECT_EQ(changes(psgd_together, ".Q0", 9, false), expected(together, 1, 9));
    for (const std::uint32_t warmup : {0u, 2u}) {
        const auto mkor = [&](const Device& on) {
            return std::make_unique<Mkor>(on, MkorOptions{.refresh = late, .warmup_steps = warmup});
        };
        std::vector<Steps> turns = expected(late, 1, 9);
        for (Steps& steps : turns)
            if (warmup > 0) steps.insert(steps.begin(), {1, 2});
        EXPECT_EQ(changes(mkor, ".R_inverse", 9, false), turns);
    }
}

// Small matrices have their refreshes in the same dispatches, as many as without stagger; and where one is
// dearer than all of them, they share the step after its.
TEST_P(RefreshTest, SmallMatricesAreRenewedTogether) {
    std::vector<TestTensor> tensors{{.name = "big", .shape = {40, 30}}};
    for (const char* name : {"a", "b", "c", "d"}) tensors.push_back({.name = name, .shape = {6, 5}});
    const auto training = [&](const RefreshPolicy& policy) {
        return Training(
            device(),
            [&](const Device& on) { return std::make_unique<Fismo>(on, FismoOptions{.refresh = policy}); },
            tensors);
    };
    Training apart = training({.interval = 4, .turn_flops = 1});
    const std::uint32_t dispatches = apart.plan().dispatch_count();
    EXPECT_LT(dispatches, training({.interval = 8, .turn_flops = 0}).plan().dispatch_count());
    EXPECT_EQ(training({.interval = 4}).plan().dispatch_count(),
              training({.interval = 4, .stagger = false}).plan().dispatch_count());

    const Plan& plan = apart.plan();
    EXPECT_GT(plan.cost(1).flops, plan.cost(2).flops);
    EXPECT_GT(plan.cost(2).flops, plan.flops());
    EXPECT_EQ(plan.cost(3).flops, plan.flops());
    EXPECT_EQ(plan.cost(5).flops, plan.cost(1).flops);
    for (unsigned step = 1; step <= 9; ++step) {
        std::vector<std::vector<float>> before;
        for (const TestTensor& tensor : tensors) before.push_back(apart.state(tensor.name + ".P"));
        apart.steps(step, 1);
        for (std::size_t i = 0; i < tensors.size(); ++i)
            EXPECT_EQ(apart.state(tensors[i].name + ".P") != before[i], step % 4 == (i == 0 ? 1u : 2u))
                << tensors[i].name << " in step " << step;
    }
}

TEST_P(RefreshTest, DescriptionsSayWhenAStageRuns) {
    Training training(
        device(),
        [](const Device& on) {
            return std::make_unique<Fismo>(
                on,
                FismoOptions{
                    .refresh = {.interval = 5, .growth = 100, .doublings = 3, .first = 7, .turn_flops = 0}});
        },
        {{.name = "a", .shape = {3, 4}}, {.name = "b", .shape = {3, 4}}});
    const std::string text = training.plan().describe();
    for (const char* wanted :
         {"every 5 steps (phase 0, doubled 3 times, after every 100 steps, from step 6 on)",
          "every 5 steps (phase 1, doubled 3 times",
          "refreshes of fismo: 2 in 5 steps, 1 each in steps 0-1 of them at first; none before step 6"})
        EXPECT_NE(text.find(wanted), std::string::npos) << text;
}

// How many fall into which step, and what the dearest step takes.
TEST_P(RefreshTest, DescriptionsSayHowRefreshesAreSpread) {
    std::vector<double> more;
    const auto describe = [&](const RefreshPolicy& policy) {
        std::vector<TestTensor> tensors;
        for (const char* name : {"a", "b", "c", "d", "e"}) tensors.push_back({.name = name, .shape = {6, 5}});
        Training training(
            device(),
            [&](const Device& on) { return std::make_unique<Kfac>(on, KfacOptions{.refresh = policy}); },
            tensors);
        // What the first step takes beside the rest of any.
        more.push_back(training.plan().cost(1).flops - training.plan().flops());
        return training.plan().describe();
    };
    const auto expect = [](const std::string& text, const char* wanted) {
        EXPECT_NE(text.find(wanted), std::string::npos) << text;
    };
    const std::string together = describe({.interval = 3, .stagger = false}),
                      staggered = describe({.interval = 3, .turn_flops = 0}),
                      long_interval = describe({.interval = 100, .turn_flops = 0}),
                      hardly_ever = describe({.interval = 1u << 30, .turn_flops = 0}),
                      always = describe({.stagger = false});
    expect(together, "  refreshes of kfac: 5 in 3 steps, 5 in step 0 of them; all in step 0\n");
    expect(together, ", first in step 0\n");
    expect(staggered, "  refreshes of kfac: 5 in 3 steps, 2 each in steps 0-1, 1 in step 2 of them\n");
    expect(staggered, ", first in step 0\n");
    expect(long_interval, "  refreshes of kfac: 5 in 100 steps, 1 each in steps 0-4 of them\n");
    expect(hardly_ever, "  refreshes of kfac: 5 in 1073741824 steps, 1 each in steps 0-4 of them\n");
    expect(always, "  refreshes of kfac: 5 in every step\n");
    EXPECT_EQ(always.find("a step takes at most"), std::string::npos);
    // Two layers' refreshes against five.
    EXPECT_NEAR(more[1] / more[0], 2.0 / 5, 0.01) << staggered << together;
}

TEST_P(RefreshTest, DescriptionsSayWhereDrawsDecideToo) {
    std::vector<TestTensor> tensors;
    for (const char* name : {"a", "b", "c"}) tensors.push_back({.name = name, .shape = {9, 7}});
    Training training(
        device(),
        [&](const Device& on) {
            return std::make_unique<PsgdKron>(
                on, PsgdKronOptions{.update_probability = 0.5f,
                                    .refresh = {.interval = 4, .first = 3, .turn_flops = 0}});
        },
        tensors);
    const std::string text = training.plan().describe();
    EXPECT_NE(text.find("  refreshes of psgd_kron: 3 in 4 steps, 1 each in steps 0-2 of them, where a draw "
                        "or count takes the step; none before step 2\n"),
              std::string::npos)
        << text;
}

// Turns are dealt by estimates, which are the costs to within a factor of two.
TEST_P(RefreshTest, FitsOfPsgdCostWhatTheirTurnsAreDealtBy) {
    for (const std::uint64_t n : {64, 200})
        for (std::uint32_t of = 0; of <= static_cast<std::uint32_t>(PsgdGeometry::quad4p); ++of) {
            const PsgdKronOptions options{.geometry = static_cast<PsgdGeometry>(of),
                                          .initial_scale = 1.0f,
                                          .refresh = {.interval = 2},
                                          .balance_probability = 0.0f};
            Training training(device(),
                              [&](const Device& on) { return std::make_unique<PsgdKron>(on, options); },
                              {{.name = "a", .shape = {n, n}}});
            const double cost = training.plan().cost(1).flops - training.plan().cost(2).flops;
            const std::vector<PsgdFactor> factors{{1, n, n, true, {}, {}}, {n, n, 1, true, {}, {}}};
            const double dealt = psgd_fit_flops(factors, {options.geometry, options.preconditioner_lr,
                                                          options.smoothness_decay, options.bound_rows});
            EXPECT_LT(cost, 2 * dealt) << n << ", geometry " << of;
            EXPECT_GT(cost, dealt / 2) << n << ", geometry " << of;
        }
}

// SOAP takes every first basis in the first step, whatever the turns: the dearest step of a training.
TEST_P(RefreshTest, DescriptionsNameWhatTheFirstStepHasBesides) {
    std::vector<TestTensor> tensors;
    for (const char* name : {"a", "b", "c"}) tensors.push_back({.name = name, .shape = {9, 7}});
    Training training(
        device(), [&](const Device& on) { return std::make_unique<Shampoo>(on, ShampooOptions::soap()); },
        tensors);
    const std::string text = training.plan().describe();
    EXPECT_NE(
        text.find("  refreshes of shampoo: 3 in 10 steps, 3 in step 9 of them; none before step 9; 3 in "
                  "step 0\n"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find(", first in step 0\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("every 2147483648 steps"), std::string::npos) << text;
}

TEST(RefreshPolicy, RefusesWhatIsOutOfRangeByName) {
    const auto refused = [&](const char* name, const RefreshPolicy& policy) {
        try {
            check_refresh("Some", "refresh", policy);
            ADD_FAILURE() << name << " was not refused";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
        }
    };
    refused("refresh.interval is 0", {.interval = 0});
    refused("refresh.interval is 1073741825", {.interval = (1u << 30) + 1});
    refused("refresh.interval is 16385", {.interval = (1u << 14) + 1, .growth = 1, .doublings = 16});
    refused("refresh.growth", {.growth = 0x80000000u});
    refused("refresh.doublings is 17", {.doublings = 17});
    refused("refresh.first", {.first = 0x80000000u});
    refused("refresh.turn_flops", {.turn_flops = -1});
    refused("refresh.turn_flops", {.turn_flops = std::numeric_limits<float>::infinity()});
    check_refresh("Some", "refresh", {.interval = 1u << 14, .growth = 1, .doublings = 16, .first = 1});
    check_refresh("Some", "refresh", {.interval = 1u << 30});
}

HERON_DEVICE_TESTS(RefreshTest);

}  // namespace
}  // namespace heron::test
