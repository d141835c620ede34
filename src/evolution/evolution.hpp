// SPDX-License-Identifier: MIT
// What the operations of heron/evolution.hpp share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heron/evolution.hpp"

namespace heron {

inline constexpr std::uint64_t kMaxMembers = std::uint64_t{1} << 20;

struct NoiseSizes {
    std::uint64_t pairs, rows, cols;
};
// Of noise that a caller hands over; `who` as in errors.
NoiseSizes check_low_rank(std::string_view who, const Graph& graph, const LowRankNoise& noise);
void check_sigma(std::string_view who, float sigma);

}  // namespace heron
