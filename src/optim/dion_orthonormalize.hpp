// SPDX-License-Identifier: MIT
// The QR methods of Dion.
#pragma once

#include <cstdint>

#include "heron/graph.hpp"
#include "heron/optim/dion.hpp"

namespace heron {

// Rows that DionQr::householder takes.
inline constexpr std::uint64_t kMostRowsOfDionHouseholder = 4096;

// Orthonormal columns that span those of y, p x r with p >= r; columns that y does not determine are
// orthonormal to the others, or short, or zero. Overwrites y. `tensor`: of the sketch's random numbers.
Tensor dion_orthonormalize(Graph& graph, const Tensor& y, const DionOptions& options, std::uint32_t tensor);

}  // namespace heron
