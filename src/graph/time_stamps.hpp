// SPDX-License-Identifier: MIT
// Arithmetic on the GPU's time stamps, which wrap round after as many bits as the queue family counts.
#pragma once

#include <cstdint>

namespace heron {

// From `begin` to `end`, of which at most one wrap lies between; in ticks.
constexpr std::uint64_t elapsed_ticks(std::uint64_t begin, std::uint64_t end, std::uint32_t valid_bits) {
    const std::uint64_t mask = valid_bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << valid_bits) - 1;
    return (end - begin) & mask;
}

// `end` is not before `begin`, if less than half of the counter's range lies between.
constexpr bool in_order(std::uint64_t begin, std::uint64_t end, std::uint32_t valid_bits) {
    return (elapsed_ticks(begin, end, valid_bits) >> (valid_bits - 1)) == 0;
}

}  // namespace heron
