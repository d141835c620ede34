// SPDX-License-Identifier: MIT
// Shapes, extents of views, 16-bit conversions and the exception type: all without a device.
#include "heron/tensor.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "core/check.hpp"
#include "heron/error.hpp"

namespace heron {
namespace {

template <typename Function>
ErrorCode code_thrown_by(Function function) {
    try {
        function();
    } catch (const Error& error) {
        EXPECT_STRNE(error.what(), "");
        return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::internal;
}

constexpr std::uint64_t kHuge = std::uint64_t{1} << 32;

TEST(Shape, CountsElements) {
    EXPECT_EQ(Shape{}.count(), 1u);
    EXPECT_EQ((Shape{3, 5, 7}).count(), 105u);
    EXPECT_EQ((Shape{3, 0, 7}).count(), 0u);
    EXPECT_EQ(Shape{}.text(), "scalar");
    EXPECT_EQ((Shape{64, 32, 3, 3}).text(), "64x32x3x3");
    EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
    EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
}

TEST(Shape, RefusesOverflow) {
    EXPECT_EQ((Shape{kHuge, kHuge - 1}).count(), kHuge * (kHuge - 1));
    EXPECT_EQ(code_thrown_by([] { (Shape{kHuge, kHuge}).count(); }), ErrorCode::invalid_argument);
    EXPECT_EQ((Shape{kHuge, kHuge, 0}).count(), 0u) << "an empty tensor, whatever its other extents";
}

TEST(Shape, RefusesMoreThanEightExtents) {
    EXPECT_EQ((Shape{1, 1, 1, 1, 1, 1, 1, 2}).count(), 2u);
    EXPECT_EQ(code_thrown_by([] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }), ErrorCode::invalid_argument);
}

TEST(TensorView, SpansGapsBetweenRowsButNotAfterTheLast) {
    EXPECT_EQ((TensorView{0, DType::f32, {3, 5}, 0}).span_bytes(), 60u);
    EXPECT_EQ((TensorView{0, DType::f32, {3, 5}, 8}).span_bytes(), (2 * 8 + 5) * 4u);
    EXPECT_EQ((TensorView{0, DType::f16, {2, 3, 5}, 8}).span_bytes(), (5 * 8 + 5) * 2u);
    EXPECT_EQ((TensorView{0, DType::f32, {}, 0}).span_bytes(), 4u);
    EXPECT_EQ((TensorView{0, DType::f32, {0, 5}, 8}).span_bytes(), 0u);
    EXPECT_TRUE((TensorView{0, DType::f32, {3, 5}, 5}).contiguous());
    EXPECT_FALSE((TensorView{0, DType::f32, {3, 5}, 8}).contiguous());
}

TEST(TensorView, RefusesStridesThatOverlapOrOverflow) {
    EXPECT_EQ(code_thrown_by([] {
                  (TensorView{0, DType::f32, {3, 5}, 4}).span_bytes();
              }),
              ErrorCode::invalid_argument);
    EXPECT_EQ(code_thrown_by([] {
                  (TensorView{0, DType::f32, {3, 5}, kHuge * (kHuge / 2)}).span_bytes();
              }),
              ErrorCode::invalid_argument);
    EXPECT_EQ(code_thrown_by([] {
                  (TensorView{0, DType::f32, {kHuge, kHuge / 4}, 0}).span_bytes();
              }),
              ErrorCode::invalid_argument);
}

// The value of a 16-bit float, by its definition, in double: exact.
double f16_value(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const int mantissa = bits & 1023;
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Half, ReadsEveryF16Pattern) {
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const float value = f16_to_f32(static_cast<std::uint16_t>(bits));
        const bool special = (bits & 0x7c00) == 0x7c00;
        if (special && (bits & 0x3ff) != 0) {
            EXPECT_TRUE(std::isnan(value)) << bits;
        } else if (special) {
            EXPECT_TRUE(std::isinf(value)) << bits;
        } else {
            ASSERT_EQ(static_cast<double>(value), f16_value(static_cast<std::uint16_t>(bits))) << bits;
        }
        EXPECT_EQ(std::signbit(value), (bits & 0x8000) != 0) << bits;
    }
}

TEST(Half, GivesEveryPatternBackUnchanged) {
    for (std::uint32_t i = 0; i < 65536; ++i) {
        const auto bits = static_cast<std::uint16_t>(i);
        const std::uint16_t f16 = f32_to_f16(f16_to_f32(bits));
        const std::uint16_t bf16 = f32_to_bf16(bf16_to_f32(bits));
        const bool f16_nan = (bits & 0x7c00) == 0x7c00 && (bits & 0x3ff) != 0;
        const bool bf16_nan = (bits & 0x7f80) == 0x7f80 && (bits & 0x7f) != 0;
        ASSERT_EQ(f16, f16_nan ? bits | 0x200 : bits) << "a NaN becomes quiet, nothing else changes";
        ASSERT_EQ(bf16, bf16_nan ? bits | 0x40 : bits);
    }
}

// Round to nearest even by search: the two neighbours in double, the nearer one, the even one on a tie.
std::uint16_t f16_by_definition(float value) {
    const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const double magnitude = std::fabs(static_cast<double>(value));
    if (magnitude >= 65520.0) return sign | 0x7c00;  // halfway to the next power of two, and beyond
    std::uint16_t low = 0;
    std::uint16_t high = 0x7bff;
    while (low < high) {  // the largest pattern not above the value
        const auto middle = static_cast<std::uint16_t>((low + high + 1) / 2);
        if (f16_value(middle) <= magnitude)
            low = middle;
        else
            high = static_cast<std::uint16_t>(middle - 1);
    }
    const double below = magnitude - f16_value(low);
    const double above =
        (low == 0x7bff ? 65536.0 : f16_value(static_cast<std::uint16_t>(low + 1))) - magnitude;
    const bool up = above < below || (above == below && (low & 1) != 0);
    return static_cast<std::uint16_t>(sign | (low + (up ? 1 : 0)));
}

TEST(Half, RoundsToNearestEvenAtEveryMidpoint) {
    for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
        const double here = f16_value(static_cast<std::uint16_t>(bits));
        const double next = bits == 0x7bff ? 65536.0 : f16_value(static_cast<std::uint16_t>(bits + 1));
        const float middle = static_cast<float>((here + next) / 2);  // exact in f32
        for (float value : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, 1e9f)})
            for (float signed_value : {value, -value})
                ASSERT_EQ(f32_to_f16(signed_value), f16_by_definition(signed_value)) << signed_value;
    }
}

TEST(Half, RoundsRandomPatternsByDefinition) {
    std::mt19937 random(7);
    for (int i = 0; i < 200000; ++i) {
        const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
        if (std::isnan(value)) continue;
        ASSERT_EQ(f32_to_f16(value), f16_by_definition(value)) << value;
        // bf16: the two neighbours are the truncated bits and the next pattern.
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
        if (std::isinf(value)) continue;
        const auto low = static_cast<std::uint16_t>(bits >> 16);
        const std::uint32_t rest = bits & 0xffff;
        const bool up = rest > 0x8000 || (rest == 0x8000 && (low & 1) != 0);
        ASSERT_EQ(f32_to_bf16(value), static_cast<std::uint16_t>(low + (up ? 1 : 0))) << value;
    }
}

TEST(Half, KeepsNanNan) {
    for (std::uint32_t bits : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu}) {
        const float value = std::bit_cast<float>(bits);
        EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value)))) << std::hex << bits;
        EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(value)))) << std::hex << bits;
    }
    const float infinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(f32_to_f16(infinity), 0x7c00);
    EXPECT_EQ(f32_to_bf16(-infinity), 0xff80);
    EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80) << "rounds up to infinity";
}

TEST(Error, CarriesCodeTextAndVulkanResult) {
    const Error error(ErrorCode::out_of_device_memory, "no room", VK_ERROR_OUT_OF_DEVICE_MEMORY);
    EXPECT_EQ(error.code(), ErrorCode::out_of_device_memory);
    EXPECT_EQ(error.vk_result(), VK_ERROR_OUT_OF_DEVICE_MEMORY);
    EXPECT_STREQ(error.what(), "no room");
    EXPECT_EQ(Error(ErrorCode::io, "").vk_result(), VK_SUCCESS);
    EXPECT_STREQ(to_string(ErrorCode::version_mismatch), "version_mismatch");
    EXPECT_STREQ(to_string(DType::bf16), "bf16");
}

TEST(Error, NamesTheFailedCall) {
    try {
        throw_result(VK_ERROR_DEVICE_LOST, "vkQueueSubmit2", "the third step");
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::device_lost);
        EXPECT_EQ(error.vk_result(), VK_ERROR_DEVICE_LOST);
        EXPECT_STREQ(error.what(), "vkQueueSubmit2 failed with VK_ERROR_DEVICE_LOST (-4): the third step");
    }
}

}  // namespace
}  // namespace heron
