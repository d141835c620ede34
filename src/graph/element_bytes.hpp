// SPDX-License-Identifier: MIT
// What operations state as their traffic.
#pragma once

#include "heron/graph.hpp"

namespace heron {

// Bytes of the tensors' elements: gaps between rows are not read. Empty tensors have none.
template <class... T>
double element_bytes(const T&... tensors) {
    return static_cast<double>(((tensors ? tensors.shape.count() * bytes_of(tensors.dtype) : 0) + ...));
}

}  // namespace heron
