// SPDX-License-Identifier: MIT
// What is drawn for optimizers as a whole, with seed 0.
#pragma once

#include <cstdint>
#include <string_view>

#include "support/philox.hpp"

namespace heron::test {

// Where what has that name has its draws.
inline std::uint32_t key_of(std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

// The uniform number of step t of chance number `chance` of the optimizer with that name
// (HyperValue::chance).
inline double chance_draw(std::string_view optimizer, std::uint32_t chance, std::uint64_t t) {
    const std::uint32_t key = key_of(optimizer) + chance;
    return (philox({0, static_cast<std::uint32_t>(t), key, ~0u}, 0, 0)[0] >> 8) * 0x1p-24;
}

}  // namespace heron::test
