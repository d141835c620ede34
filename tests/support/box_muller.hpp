// SPDX-License-Identifier: MIT
// The normal numbers of heron/evolution.hpp in float64.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace heron::test {

inline std::array<double, 4> box_muller(const std::array<std::uint32_t, 4>& words) {
    const auto uniform = [](std::uint32_t word) { return (word + 0.5) * 0x1p-32; };
    std::array<double, 4> result{};
    for (std::size_t k : {0, 2}) {
        const double radius = std::sqrt(-2 * std::log(uniform(words[k])));
        const double angle = 2 * std::numbers::pi * uniform(words[k + 1]);
        result[k] = radius * std::cos(angle);
        result[k + 1] = radius * std::sin(angle);
    }
    return result;
}

}  // namespace heron::test
