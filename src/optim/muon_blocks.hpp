// SPDX-License-Identifier: MIT
// How Muon sees a parameter: as one or more matrices, each with its shape factor.
#pragma once

#include <cstdint>
#include <vector>

#include "heron/optim/muon.hpp"

namespace heron {

// One matrix: rows x cols elements of the parameter, contiguous, beginning with element `first`.
struct MuonBlock {
    std::uint64_t first;
    std::uint64_t rows;
    std::uint64_t cols;
    double shape_factor;
};

// Throws (invalid_argument) for fewer than two axes, and a view that does not fit the shape.
std::vector<MuonBlock> muon_blocks(const Parameter& parameter, const MuonOptions& options);

}  // namespace heron
