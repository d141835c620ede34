// SPDX-License-Identifier: MIT
// When MKOR-H's rule ends second order, loss by loss. What a plan makes of it: mkor_test.cpp.
#include "optim/mkor_switch.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace heron::test {
namespace {

// Losses until second order no longer pays, that one included; 0: it does for `most` of them.
std::uint32_t end_of(const MkorSwitch& rule, const std::function<double(std::uint32_t)>& loss,
                     std::uint32_t most = 1000) {
    MkorSwitchHistory history;
    for (std::uint32_t t = 1; t <= most; ++t)
        if (!pays_after(history, rule, loss(t))) return t;
    return 0;
}

// Falls by one a loss until `knee`, from there on by `slope`.
double with_knee(std::uint32_t t, std::uint32_t knee, double slope) {
    return t <= knee ? -static_cast<double>(t) : -static_cast<double>(knee) - slope * (t - knee);
}

TEST(MkorSwitch, ASteadyFallPaysForEver) {
    EXPECT_EQ(end_of({.window = 10}, [](std::uint32_t t) { return 5.0 - 0.001 * t; }), 0u);
    EXPECT_EQ(end_of({.window = 1, .share = 1.0f, .patience = 1}, [](std::uint32_t t) { return -1.0 * t; }),
              0u);
}

// Windows of 10; the knee lies at the end of the fourth. The fifth's mean still has a part of the old slope,
// 4.5 + 5.5 s, the sixth falls by 10 s, the seventh too: below a tenth of 10 for the second time.
TEST(MkorSwitch, ASlowerFallEndsItAfterItsPatience) {
    const auto slower = [](double slope) { return [=](std::uint32_t t) { return with_knee(t, 40, slope); }; };
    EXPECT_EQ(end_of({.window = 10}, slower(0.09)), 70u);
    EXPECT_EQ(end_of({.window = 10}, slower(0.11)), 0u);
    EXPECT_EQ(end_of({.window = 10, .patience = 1}, slower(0.09)), 60u);
    EXPECT_EQ(end_of({.window = 10, .share = 0.5f}, slower(0.49)), 70u);
    EXPECT_EQ(end_of({.window = 10, .patience = 5}, slower(0.09)), 100u);
}

// Falls of 1, 1 and 2, then of 0 and 1 by turns: two poor ones in a row never come.
TEST(MkorSwitch, OnlyPoorFallsInARowCount) {
    const auto loss = [](std::uint32_t t) { return t <= 3 ? -1.0 * t : -3.0 - std::floor(t / 2.0); };
    EXPECT_EQ(end_of({.window = 1}, loss), 0u);
    EXPECT_EQ(end_of({.window = 1, .patience = 1}, loss), 5u);
}

TEST(MkorSwitch, ALossThatDoesNotFallDoesNotPay) {
    EXPECT_EQ(end_of({.window = 10}, [](std::uint32_t) { return 1.0; }), 30u);
    EXPECT_EQ(end_of({.window = 10, .share = 0.0f}, [](std::uint32_t t) { return 1.0 + t; }), 30u);
    // With a share of 0 any fall will do.
    EXPECT_EQ(end_of({.window = 10, .share = 0.0f}, [](std::uint32_t t) { return with_knee(t, 40, 1e-6); }),
              0u);
}

// The first fall above 0 is the measure, not the rise before it.
TEST(MkorSwitch, ARiseAtTheStartIsNoMeasure) {
    const auto loss = [](std::uint32_t t) { return t <= 2 ? 1.0 * t : with_knee(t - 2, 4, 0.05); };
    EXPECT_EQ(end_of({.window = 1, .patience = 3}, loss), 9u);
}

TEST(MkorSwitch, LossesThatAreNoNumbersCountForNothing) {
    const MkorSwitch rule{.window = 2};
    MkorSwitchHistory history, undisturbed;
    for (int t = 0; t < 7; ++t) {
        EXPECT_EQ(pays_after(history, rule, -t), pays_after(undisturbed, rule, -t));
        for (const double bad :
             {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1e301})
            EXPECT_TRUE(pays_after(history, rule, bad));
        EXPECT_EQ(history, undisturbed);
    }
    // The largest that count neither overflow.
    for (int t = 0; t < 9; ++t) pays_after(history, rule, t % 4 < 2 ? 1e300 : -1e300);
    EXPECT_TRUE(std::isfinite(history.sum) && std::isfinite(history.last) &&
                std::isfinite(history.first_fall));
}

TEST(MkorSwitch, HistoriesComeBackFromTheirTextBitForBit) {
    const MkorSwitch rule{.window = 3};
    MkorSwitchHistory history;
    for (int t = 0; t < 50; ++t) {
        const std::optional<MkorSwitchHistory> read = history_of(history_text(history));
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(*read, history);
        pays_after(history, rule, std::sin(0.3 * t) - 0.1 * t);
    }
}

TEST(MkorSwitch, OtherTextsAreNone) {
    for (const char* text :
         {"", "1", "0 0 0 0 0", "0 0 0 0 0 0 0", "0 0 0 0 0 x", "nan 0 0 0 0 0", "0 0 inf 0 0 0",
          "0 0 -1 0 0 0", "0 0 0 -1 0 0", "0 0 0 0 3 0", "0 0 0 0 0 0 ", "1e305 0 0 0 0 0"})
        EXPECT_FALSE(history_of(text).has_value()) << text;
    EXPECT_TRUE(history_of("0.5 -1e300 2 7 2 1").has_value());
}

}  // namespace
}  // namespace heron::test
