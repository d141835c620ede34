// SPDX-License-Identifier: MIT
// Coefficient sets: lengths, repetition, known values of the scalar map, and the generator against the
// published digits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "heron/error.hpp"
#include "heron/linalg.hpp"

namespace heron {
namespace {

double map(const std::vector<NewtonSchulzCoefficients>& coefficients, double x) {
    for (const auto& [a, b, c] : coefficients) x = a * x + b * x * x * x + c * x * x * x * x * x;
    return x;
}

void expect_close(const NewtonSchulzCoefficients& p, const NewtonSchulzCoefficients& q, double tolerance) {
    EXPECT_LE(std::abs(p.a - q.a), tolerance * std::abs(q.a)) << p.a << " " << q.a;
    EXPECT_LE(std::abs(p.b - q.b), tolerance * std::abs(q.b)) << p.b << " " << q.b;
    EXPECT_LE(std::abs(p.c - q.c), tolerance * std::abs(q.c)) << p.c << " " << q.c;
}

TEST(NewtonSchulzCoefficients, HaveTheirOwnLength) {
    const std::pair<const char*, std::size_t> lengths[] = {
        {"muon", 5},    {"cubic", 15},  {"quintic", 8}, {"you5", 5}, {"pe-raw", 8},      {"pe-basic", 8},
        {"pe-gram", 5}, {"pe-dion", 5}, {"pe-nv", 8},   {"cans", 5}, {"deepseekv4", 10}, {"cubic5", 5}};
    for (const auto& [name, length] : lengths)
        EXPECT_EQ(newton_schulz_coefficients(name).size(), length) << name;
}

TEST(NewtonSchulzCoefficients, AreShortenedAndRepeatTheirLastTriple) {
    for (const char* name :
         {"muon", "cubic", "quintic", "pe-raw", "pe-basic", "pe-gram", "pe-dion", "pe-nv", "cans"}) {
        const auto own = newton_schulz_coefficients(name);
        const auto longer = newton_schulz_coefficients(name, static_cast<std::uint32_t>(own.size() + 3));
        ASSERT_EQ(longer.size(), own.size() + 3);
        for (std::size_t i = 0; i < longer.size(); ++i)
            expect_close(longer[i], own[std::min(i, own.size() - 1)], 0.0);
        const auto shorter = newton_schulz_coefficients(name, 2);
        ASSERT_EQ(shorter.size(), 2u);
        expect_close(shorter[1], own[1], 0.0);
    }
}

TEST(NewtonSchulzCoefficients, RefuseUnknownNamesAndOtherLengthsOfFixedSets) {
    try {
        newton_schulz_coefficients("mouon");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
        EXPECT_NE(std::string(error.what()).find("mouon"), std::string::npos);
        EXPECT_NE(std::string(error.what()).find("pe-basic"), std::string::npos);
    }
    for (const char* name : {"you5", "deepseekv4", "cubic5"}) {
        EXPECT_THROW(newton_schulz_coefficients(name, 4), Error) << name;
        EXPECT_THROW(newton_schulz_coefficients(name, 11), Error) << name;
    }
    EXPECT_THROW(newton_schulz_coefficients("muon", 1'000'000), Error);
}

// Outputs for a matrix of rank one (sigma = norm), as measured with the published code (six digits), which
// divides by 1.01 or 1.02 times the norm for two of the sets.
TEST(NewtonSchulzCoefficients, MapOneToThePublishedValues) {
    EXPECT_NEAR(map(newton_schulz_coefficients("muon"), 1.0), 0.696436, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("muon", 10), 1.0), 1.125320, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("you5"), 1.0), 0.978346, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("pe-basic", 5), 1.0 / 1.01), 0.877107, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("pe-basic", 8), 1.0 / 1.01), 1.0, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("pe-dion"), 1.0 / 1.02), 0.903537, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("pe-gram"), 1.0), 1.019028, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("cans"), 1.0), 1.005069, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("cubic"), 1.0), 1.0, 1e-12);
    EXPECT_NEAR(map(newton_schulz_coefficients("quintic"), 1.0), 1.0, 1e-12);
    EXPECT_NEAR(map(newton_schulz_coefficients("deepseekv4"), 1.0), 1.000014, 1e-6);
    EXPECT_NEAR(map(newton_schulz_coefficients("cubic5"), 1.0), 0.774106, 1e-6);
}

// Why optimizers want a norm factor of 1.01 with it: that leaves room for a norm that is 0.4 % too small.
TEST(NewtonSchulzCoefficients, CansForgivesASmallNormOnlyWithANormFactor) {
    const auto cans = newton_schulz_coefficients("cans");
    EXPECT_NEAR(map(cans, 1 + 1e-5), 2.63, 0.01);
    EXPECT_GT(map(cans, 1 + 0.004), std::numeric_limits<float>::max());
    constexpr double kLow = 0.01, kHigh = 1.004 / 1.01;
    constexpr int kPoints = 10'000;
    for (int i = 0; i <= kPoints; ++i) {
        const double x = kLow + (kHigh - kLow) * i / kPoints;
        const double y = map(cans, x);
        ASSERT_TRUE(y > 0.884 && y < 1.12) << x << " to " << y;
    }
}

TEST(PolarExpressCoefficients, ReproduceDionsSet) {
    const auto published = newton_schulz_coefficients("pe-dion");
    const auto generated = polar_express_coefficients(1e-3, 5, 0.02, 0.02);
    ASSERT_EQ(generated.size(), published.size());
    for (std::size_t i = 0; i < published.size(); ++i) expect_close(generated[i], published[i], 1e-13);
}

TEST(PolarExpressCoefficients, ReproduceTheAuthorsSet) {
    const auto published = newton_schulz_coefficients("pe-raw");
    const auto generated = polar_express_coefficients(1e-3, 8, 0.0, 0.02407327424182761);
    ASSERT_EQ(generated.size(), published.size());
    for (std::size_t i = 0; i < 6; ++i) expect_close(generated[i], published[i], 1e-13);
    expect_close(generated[6], published[6], 4e-11);  // the system is nearly singular there
    expect_close(generated[7], published[7], 1e-8);
}

// The defining property: after T steps from [l, 1] the error is the last minimax error, attained at both
// ends.
TEST(PolarExpressCoefficients, CloseInOnOneFromTheWholeInterval) {
    for (const double l : {1e-1, 1e-2, 1e-3}) {
        const auto coefficients = polar_express_coefficients(l, 10, 0.0, 0.0);
        double worst = 0.0;
        for (int i = 0; i <= 1000; ++i)
            worst = std::max(worst, std::abs(1.0 - map(coefficients, std::pow(l, i / 1000.0))));
        EXPECT_LE(worst, 1e-9) << l;
    }
}

TEST(PolarExpressCoefficients, RefuseWhatTheyCannotUse) {
    for (const double l : {0.0, 1.0, -0.5, std::nan("")})
        EXPECT_THROW(polar_express_coefficients(l, 5, 0, 0), Error);
    EXPECT_THROW(polar_express_coefficients(1e-3, 0, 0.02, 0.02), Error);
    EXPECT_THROW(polar_express_coefficients(1e-3, 5, -0.1, 0.02), Error);
    EXPECT_THROW(polar_express_coefficients(1e-3, 5, 0.02, 2.0), Error);
}

}  // namespace
}  // namespace heron
