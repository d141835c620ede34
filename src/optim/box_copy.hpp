// SPDX-License-Identifier: MIT
// Copies of boxes of tensors of any order, f32.
#pragma once

#include <array>
#include <cstdint>

#include "heron/graph.hpp"

namespace heron {

using BoxIndices = std::array<std::uint64_t, Shape::kMaxRank>;

// A box in a tensor: the element that it begins with, and what lies between neighbours along each of its
// axes.
struct BoxPlace {
    Tensor tensor;
    std::uint64_t first = 0;
    BoxIndices strides{};
};

// The strides of a row-major tensor without gaps.
BoxIndices strides_of(const Shape& shape);

// Every element of a box of these extents. One level; bytes 8 an element.
void box_copy(Graph& graph, const Shape& extents, const BoxPlace& from, const BoxPlace& to);

}  // namespace heron
