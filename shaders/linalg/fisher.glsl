// SPDX-License-Identifier: MIT
// Where a coordinate is in the blocks of Y. The includer has included linalg/fisher.h.
#ifndef HERON_LINALG_FISHER_GLSL
#define HERON_LINALG_FISHER_GLSL

struct FisherColumn {
    uint first; // of its m elements
    uint width; // from one to the next
};

FisherColumn fisher_column(uint j, uint d, uint rows, uint block) {
    uint begin = j / block * block;
    FisherColumn column;
    column.width = min(block, d - begin);
    column.first = begin * rows + (j - begin);
    return column;
}

#endif
