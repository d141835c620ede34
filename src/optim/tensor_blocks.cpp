// SPDX-License-Identifier: MIT
#include "optim/tensor_blocks.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "optim/checks.hpp"

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

void check_factor_order(std::string_view optimizer, const Parameter& parameter, const Shape& merged,
                        std::uint64_t extent, std::uint32_t block_size) {
    constexpr std::uint64_t kLargest = 4096;
    const std::uint64_t order = std::min<std::uint64_t>(extent, block_size);
    if (order > kLargest)
        refuse(std::string(optimizer) + ": parameter " + in_quotes(parameter.name) + ", merged to " +
               merged.text() + ", has blocks with " + std::to_string(order) +
               " rows on an axis; factors take up to " + std::to_string(kLargest) +
               ": set block_size to that or less");
}

}  // namespace heron
