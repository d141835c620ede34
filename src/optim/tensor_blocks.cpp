// SPDX-License-Identifier: MIT
#include "optim/tensor_blocks.hpp"

#include <algorithm>
#include <span>

namespace heron {

Shape merge_axes(const Shape& shape, std::uint64_t largest, std::uint64_t least_order) {
    std::vector<std::uint64_t> left;
    for (const std::uint64_t extent : shape)
        if (extent != 1) left.push_back(extent);
    if (left.empty()) return Shape{1};
    std::vector<std::uint64_t> merged{left.back()};  // last axis first
    left.pop_back();
    while (!left.empty()) {
        const std::uint64_t extent = left.back();
        if (merged.back() * extent <= largest && merged.size() + left.size() > least_order)
            merged.back() *= extent;
        else
            merged.push_back(extent);
        left.pop_back();
    }
    std::reverse(merged.begin(), merged.end());
    return Shape(std::span<const std::uint64_t>(merged));
}

std::vector<TensorBlock> tensor_blocks(const Shape& merged, std::uint64_t largest) {
    std::vector<TensorBlock> blocks;
    if (merged.count() == 0) return blocks;
    TensorBlock block;
    while (true) {
        std::vector<std::uint64_t> extents;
        for (std::size_t a = 0; a < merged.rank(); ++a)
            extents.push_back(std::min(largest, merged[a] - block.first[a]));
        block.extents = Shape(std::span<const std::uint64_t>(extents));
        blocks.push_back(block);
        std::size_t a = merged.rank();
        while (a > 0 && block.first[a - 1] + block.extents[a - 1] == merged[a - 1]) block.first[--a] = 0;
        if (a == 0) return blocks;
        block.first[a - 1] += largest;
    }
}

}  // namespace heron
