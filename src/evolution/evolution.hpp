// SPDX-License-Identifier: MIT
// What the operations of heron/evolution.hpp share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "evolution/evolution.h"
#include "heron/evolution.hpp"

namespace heron {

inline constexpr std::uint64_t kMaxMembers = std::uint64_t{1} << 20;

struct NoiseSizes {
    std::uint64_t pairs, rows, cols;
};
// Of noise that a caller hands over; `who` as in errors.
NoiseSizes check_low_rank(std::string_view who, const Graph& graph, const LowRankNoise& noise);
void check_sigma(std::string_view who, float sigma);
// What is refused of noise that is drawn for a rows x cols matrix.
void check_drawn(const char* who, const Graph& graph, const Population& population, std::uint64_t rows,
                 std::uint64_t cols, std::uint32_t rank);
// What a job says of the noise of parameter `tensor`.
gpu::EvolutionDraw draw_of(const Population& population, std::uint32_t tensor);

}  // namespace heron
