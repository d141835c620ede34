// SPDX-License-Identifier: MIT
// Where in the space of random numbers (linalg/philox.glsl) something with a name has its draws.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/hash.hpp"

namespace heron {

// RandomOptions::tensor and the like: of the name alone, so that draws depend neither on the plan's other
// optimizers nor on the order of parameters. `part`: of something that draws in several places.
inline std::uint32_t draw_key(std::string_view name, std::uint64_t part = 0) {
    const std::uint64_t hash = hash_of(std::as_bytes(std::span(name)));
    return static_cast<std::uint32_t>(hash ^ (hash >> 32)) + static_cast<std::uint32_t>(part);
}

}  // namespace heron
