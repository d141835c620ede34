// SPDX-License-Identifier: MIT
// Square matrices with a structure that products keep (Lin et al., arXiv 2312.05705, section 3.2): closed
// under addition and multiplication, stored in far fewer elements than order x order.
//
// Pi(X), the projection of a symmetric X on a structure: X's elements at the structure's positions, on
// Toeplitz diagonals the mean of each. Where a structure has an off-diagonal element but not its mirror image
// (Toeplitz, and B and D below) that element stands for both, and is twice as large.
//
// Stored elements, in states and checkpoints (SINGD's K and C), f32, f16 or bf16 without gaps:
//
//   dense            order x order, row by row; all others are vectors
//   diagonal         along the diagonal: order
//   block_diagonal   block after block, each row by row
//   Toeplitz         coefficients, from the main diagonal outwards: order
//   hierarchical     the rows of [A B], the diagonal of C, the rows of [D E]
//
// A structure whose first block, or A, is all of the matrix counts as dense.
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
