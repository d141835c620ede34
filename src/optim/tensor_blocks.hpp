// SPDX-License-Identifier: MIT
// How Shampoo sees a parameter: as a tensor whose small axes are merged, cut into blocks with factors of
// their own.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "heron/tensor.hpp"
#include "heron/train.hpp"

namespace heron {

// One block: elements first[a] .. first[a] + extent[a] - 1 of every axis.
struct TensorBlock {
    std::array<std::uint64_t, Shape::kMaxRank> first{};
    Shape extents;
};

// Axes of length 1 go; then, from the last to the first, an axis is multiplied into the one behind it while
// the product is at most `largest` and more than `least_order` axes are left (Distributed Shampoo's
// merge_small_dims). A scalar is a vector of 1.
Shape merge_axes(const Shape& shape, std::uint64_t largest, std::uint64_t least_order);

// Every axis is cut into pieces of `largest`, the last one smaller; blocks in row-major order.
std::vector<TensorBlock> tensor_blocks(const Shape& merged, std::uint64_t largest);

// Throws (invalid_argument), in the name of `optimizer`, where blocks of a parameter, which it takes for
// `merged`, are longer than the factors that eigh(), inverse_root() and Householder's qr() take, on an axis
// of that `extent`.
void check_factor_order(std::string_view optimizer, const Parameter& parameter, const Shape& merged,
                        std::uint64_t extent, std::uint32_t block_size);

}  // namespace heron
