// SPDX-License-Identifier: MIT
// Element types, shapes, and views of device memory. Values only: copying one copies no data.
#pragma once

#include <vulkan/vulkan_core.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "heron/export.hpp"

namespace heron {

enum class DType : std::uint32_t { f32 = 0, f16 = 1, bf16 = 2, u32 = 3 };  // of elements on the device

HERON_API const char* to_string(DType dtype);  // "f32", ...
constexpr std::uint64_t bytes_of(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16 ? 2 : 4; }

// Extents of a row-major tensor, outermost first, at most kMaxRank of them. An empty shape is a scalar (one
// element).
class Shape {
public:
    static constexpr std::size_t kMaxRank = 8;

    constexpr Shape() = default;
    // Throws heron::Error (invalid_argument) for more than kMaxRank extents.
    HERON_API Shape(std::initializer_list<std::uint64_t> extents);
    HERON_API explicit Shape(std::span<const std::uint64_t> extents);

    constexpr std::size_t rank() const { return rank_; }
    constexpr std::uint64_t operator[](std::size_t axis) const { return extents_[axis]; }
    constexpr const std::uint64_t* begin() const { return extents_.data(); }
    constexpr const std::uint64_t* end() const { return extents_.data() + rank_; }
    bool operator==(const Shape&) const = default;

    // Product of the extents. Throws heron::Error (invalid_argument) where it overflows 64 bits.
    HERON_API std::uint64_t count() const;
    HERON_API std::string text() const;  // "64x32x3x3", "scalar"

private:
    std::array<std::uint64_t, kMaxRank> extents_{};
    std::size_t rank_ = 0;
};

// Part of a VkBuffer that the caller owns. `usage` is what the buffer was created with: Vulkan cannot be
// asked.
struct BufferRange {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceSize offset = 0;  // bytes
    VkDeviceSize bytes = 0;
    VkBufferUsageFlags usage = 0;  // must contain VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT
    void* mapped = nullptr;        // host pointer of `offset`, where the memory is mapped
};

// A tensor in device memory, owned by somebody else.
// Layout: row-major; `row_stride` is the distance in elements between the starts of two rows of the last two
// axes (0 means contiguous). Addresses are multiples of 4 bytes, for 16-bit types too.
struct TensorView {
    VkDeviceAddress address = 0;
    DType dtype = DType::f32;
    Shape shape;
    std::uint64_t row_stride = 0;  // elements
    std::uint64_t device = 0;  // Device::id() of the device that made the view; 0: not known, and not checked

    // Bytes from the first to one past the last element, gaps between rows included.
    HERON_API std::uint64_t span_bytes() const;
    HERON_API bool contiguous() const;
};

// 16-bit conversions as every Heron shader does them: round to nearest even; f32 NaN stays NaN.
HERON_API std::uint16_t f32_to_f16(float value);
HERON_API float f16_to_f32(std::uint16_t bits);
HERON_API std::uint16_t f32_to_bf16(float value);
HERON_API float bf16_to_f32(std::uint16_t bits);

}  // namespace heron
