// SPDX-License-Identifier: MIT
// Counts as jobs hold them. Operations have checked by then that all of theirs fit 32 bits.
#pragma once

#include <cstdint>

namespace heron {

// Elements that a shader can tell apart by their indices, of 32 bits.
inline constexpr std::uint64_t kMaxIndex = 0xffffffff;

constexpr std::uint32_t narrow(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; }

}  // namespace heron
