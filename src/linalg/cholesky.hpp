// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "heron/device.hpp"
#include "heron/linalg/cholesky.hpp"

namespace heron {

// The most rows that cholesky() takes.
std::uint64_t max_cholesky_rows(const Device& device);

// cholesky() of those matrices of a batch whose word in `active`, one u32 for each, is not 0. What belongs to
// the others stays as it is, their statuses and jitters, too, for next to nothing. Checks nothing.
void add_active_cholesky(Graph& graph, const Tensor& active, const Tensor& a, const Tensor& factor,
                         const CholeskyOptions& options);

}  // namespace heron
