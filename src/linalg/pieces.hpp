// SPDX-License-Identifier: MIT
// Into how many pieces, for workgroups of their own, a long sum is cut whose results are few tiles.
#pragma once

#include <algorithm>
#include <cstdint>

#include "heron/device.hpp"

namespace heron {

// Terms of one piece. lavapipe gives up, silently, when the loops of an invocation have run 65,535 times
// altogether (22.3, LP_MAX_TGSI_LOOP_ITERATIONS); and 2^15 of a tile of 128 x 128 are a GFLOP, which the plan
// could not divide.
inline constexpr std::uint64_t kMaxPiece = std::uint64_t{1} << 15;

// Workgroups that keep a device busy.
inline std::uint64_t busy_workgroups(const Capabilities& device) { return device.cpu ? 8 : 128; }

// Pieces of at least `least` terms that give every compute unit of a large GPU, or every core, something to
// do.
inline std::uint64_t useful_pieces(const Capabilities& device, std::uint64_t tiles, std::uint64_t terms,
                                   std::uint64_t least) {
    return std::max<std::uint64_t>(
        1, std::min(busy_workgroups(device) / std::max<std::uint64_t>(tiles, 1), terms / least));
}

}  // namespace heron
