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

// Elements to the workgroups of element-wise kernels.
struct EvolutionGrid {
    explicit EvolutionGrid(const Device& device);
    std::uint64_t groups(std::uint64_t elements) const;
    std::vector<SpecConstant> constants() const;
    std::uint32_t threads, per_thread;
};

void add_evolution(Graph& graph, Operation operation, std::vector<SpecConstant> constants, double flops,
                   double bytes, bool guarded, std::string_view reason);

struct NoiseSizes {
    std::uint64_t pairs, rows, cols;
};
// Of noise that a caller hands over; `who` as in errors.
NoiseSizes check_low_rank(std::string_view who, const Graph& graph, const LowRankNoise& noise);
void check_sigma(std::string_view who, float sigma);

}  // namespace heron
