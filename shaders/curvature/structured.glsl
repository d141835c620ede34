// SPDX-License-Identifier: MIT
// Where the elements of a structured matrix are. The includer has included curvature/structured.h and core/kernel.glsl,
// and calls set_structure() first.
//
// A column (or row) of any structure is at most SEGMENTS runs of elements: (first row, count, place of the first,
// distance of places), the count 0 where there are fewer.
#ifndef HERON_CURVATURE_STRUCTURED_GLSL
#define HERON_CURVATURE_STRUCTURED_GLSL

const uint SEGMENTS = 3u;
const uint NOWHERE = 0xffffffffu;

uint s_kind, s_order, s_first, s_last, s_middle;

void set_structure(uint kind, uint order, uint first, uint last) {
    s_kind = kind;
    s_order = order;
    s_first = first;
    s_last = last;
    s_middle = order - (kind == STRUCTURE_HIERARCHICAL ? first + last : 0u);
}

bool is_toeplitz() { return s_kind == STRUCTURE_LOWER_TOEPLITZ || s_kind == STRUCTURE_UPPER_TOEPLITZ; }

// Of the block with row i: its first row, and its order.
uvec2 block_of(uint i) {
    uint begin = i / s_first * s_first;
    return uvec2(begin, min(s_first, s_order - begin));
}
// Where the diagonal C, and where [D E] begins.
uint middle_place() { return s_first * s_order; }
uint last_place() { return middle_place() + s_middle; }

uvec4 column_segment(uint j, uint s) {
    if (s_kind == STRUCTURE_HIERARCHICAL) {
        if (s == 0u)
            return uvec4(0u, s_first, j, s_order);
        if (j < s_first)
            return uvec4(0u);
        if (s == 1u)
            return uvec4(j, uint(j < s_first + s_middle), middle_place() + j - s_first, 0u);
        return uvec4(s_first + s_middle, s_last, last_place() + j - s_first, s_order - s_first);
    }
    if (s > 0u)
        return uvec4(0u);
    if (s_kind == STRUCTURE_DENSE)
        return uvec4(0u, s_order, j, s_order);
    if (s_kind == STRUCTURE_DIAGONAL)
        return uvec4(j, 1u, j, 0u);
    if (s_kind == STRUCTURE_LOWER_TOEPLITZ)
        return uvec4(j, s_order - j, 0u, 1u);
    if (s_kind == STRUCTURE_UPPER_TOEPLITZ)
        return uvec4(0u, j + 1u, j, 0xffffffffu);
    uvec2 block = block_of(j);
    return uvec4(block.x, block.y, block.x * s_first + j - block.x, block.y);
}

uvec4 row_segment(uint i, uint s) {
    if (s > 0u)
        return uvec4(0u);
    if (s_kind == STRUCTURE_HIERARCHICAL) {
        if (i < s_first)
            return uvec4(0u, s_order, i * s_order, 1u);
        if (i < s_first + s_middle)
            return uvec4(i, 1u, middle_place() + i - s_first, 0u);
        return uvec4(s_first, s_order - s_first, last_place() + (i - s_first - s_middle) * (s_order - s_first), 1u);
    }
    if (s_kind == STRUCTURE_DENSE)
        return uvec4(0u, s_order, i * s_order, 1u);
    if (s_kind == STRUCTURE_DIAGONAL)
        return uvec4(i, 1u, i, 0u);
    if (s_kind == STRUCTURE_LOWER_TOEPLITZ)
        return uvec4(0u, i + 1u, i, 0xffffffffu);
    if (s_kind == STRUCTURE_UPPER_TOEPLITZ)
        return uvec4(i, s_order - i, 0u, 1u);
    uvec2 block = block_of(i);
    return uvec4(block.x, block.y, block.x * s_first + (i - block.x) * block.y, 1u);
}

// Row and column of an element; of a Toeplitz coefficient, the one in the first column (row).
uvec2 position_of(uint e) {
    if (s_kind == STRUCTURE_DIAGONAL)
        return uvec2(e);
    if (s_kind == STRUCTURE_LOWER_TOEPLITZ)
        return uvec2(e, 0u);
    if (s_kind == STRUCTURE_UPPER_TOEPLITZ)
        return uvec2(0u, e);
    if (s_kind == STRUCTURE_HIERARCHICAL && e >= middle_place()) {
        if (e < last_place())
            return uvec2(s_first + e - middle_place());
        uint width = s_order - s_first;
        uint i = (e - last_place()) / width;
        return uvec2(s_first + s_middle + i, s_first + (e - last_place()) - i * width);
    }
    if (s_kind == STRUCTURE_BLOCKS) {
        uint begin = e / (s_first * s_first) * s_first;
        uint inside = e - begin * s_first;
        uint width = block_of(begin).y;
        return uvec2(begin) + uvec2(inside / width, inside % width);
    }
    return uvec2(e / s_order, e % s_order);
}

// Where element (i, j) is; NOWHERE for what is always zero.
uint place_of(uint i, uint j) {
    if (s_kind == STRUCTURE_DENSE)
        return i * s_order + j;
    if (s_kind == STRUCTURE_DIAGONAL)
        return i == j ? i : NOWHERE;
    if (s_kind == STRUCTURE_LOWER_TOEPLITZ)
        return i >= j ? i - j : NOWHERE;
    if (s_kind == STRUCTURE_UPPER_TOEPLITZ)
        return j >= i ? j - i : NOWHERE;
    if (s_kind == STRUCTURE_BLOCKS) {
        uvec2 block = block_of(i);
        return j - block.x < block.y ? block.x * s_first + (i - block.x) * block.y + j - block.x : NOWHERE;
    }
    if (i < s_first)
        return i * s_order + j;
    if (j < s_first)
        return NOWHERE;
    if (i >= s_first + s_middle)
        return last_place() + (i - s_first - s_middle) * (s_order - s_first) + j - s_first;
    return i == j ? middle_place() + i - s_first : NOWHERE;
}

// Of the elements of Pi(X) for a symmetric X: the projection is orthogonal, so what a structure holds on one side of
// the diagonal alone stands for both. (Toeplitz: a sum of one diagonal, to its mean.)
float projection_weight(uint e) {
    if (is_toeplitz())
        return (e == 0u ? 1.0 : 2.0) / float(s_order - e);
    if (s_kind != STRUCTURE_HIERARCHICAL)
        return 1.0;
    uvec2 at = position_of(e);
    bool first = at.x < s_first && at.y >= s_first;
    bool last = at.x >= s_first + s_middle && at.y < s_first + s_middle;
    return first || last ? 2.0 : 1.0;
}

#endif
