// SPDX-License-Identifier: MIT
// Square matrices with a structure that products keep (Lin et al., arXiv 2312.05705, section 3.2): closed
// under addition and multiplication, stored in far fewer elements than order x order.
#pragma once

#include <cstdint>

namespace heron {

enum class StructureKind : std::uint32_t {
    dense = 0,
    diagonal = 1,
    block_diagonal = 2,  // blocks of `block` x `block`, the last one smaller
    // One coefficient for each diagonal on and below (above) the main one.
    lower_toeplitz = 3,
    upper_toeplitz = 4,
    // [[A, B], [0, M]], M = [[C, 0], [D, E]]: A of order `first`, B, D and E (of order `last`) dense, C
    // diagonal. Of a matrix of lower order A takes what there is, then E.
    hierarchical = 5,
};

struct MatrixStructure {
    StructureKind kind = StructureKind::dense;
    std::uint32_t block = 30;  // 1..1024; of block_diagonal; the authors' default
    std::uint32_t first = 15;  // 0..120, as last; of hierarchical; the authors' defaults
    std::uint32_t last = 15;
    bool operator==(const MatrixStructure&) const = default;
};

}  // namespace heron
