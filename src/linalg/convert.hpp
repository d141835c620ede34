// SPDX-License-Identifier: MIT
// convert() with what only linalg itself needs.
#pragma once

#include "heron/linalg.hpp"

namespace heron {

// to = scale * from, where `from` may be one matrix for all items of `to`, or empty: then `to` becomes zero.
// Checks nothing.
void add_convert(Graph& graph, const Tensor& from, const Tensor& to, float scale, bool guarded);

}  // namespace heron
