// SPDX-License-Identifier: MIT
// Tiles of a matrix: which one a workgroup computes, and how its results are stored.
#ifndef HERON_CORE_TILE_GLSL
#define HERON_CORE_TILE_GLSL

#include "core/half.glsl"

// (tile row, tile column) of workgroup t of rows x cols tiles, in bands of eight tile rows, so that workgroups that run
// at the same time share both operands in the cache.
uvec2 band_tile(uint t, uint rows, uint cols) {
    const uint BAND = 8;
    uint band = t / (BAND * cols);
    uint height = min(BAND, rows - band * BAND);
    uint rest = t - band * BAND * cols;
    return uvec2(band * BAND + rest % height, rest / height);
}

// (tile row, tile column) of workgroup t of the side (side + 1) / 2 tiles on and above the diagonal. Row h and a short
// row from the end fill one line of a rectangle:
//
//   side 4:  00 01 02 03 33      side 3:  00 01 02
//            11 12 13 22 23               11 12 22
uvec2 triangle_tile(uint t, uint side) {
    uint width = side | 1u;
    uint h = t / width;
    uint c = t - h * width;
    if (c < side - h)
        return uvec2(h, h + c);
    uint row = ((side - 1u) | 1u) - h;
    return uvec2(row, row + c - (side - h));
}

// Stores two neighbouring elements, to_bits() of their values, of which either may be left out. `pairs`: the first one
// has an even index, and both are this invocation's alone.
void store_two(U32 x, uint first, uvec2 bits, bool keep0, bool keep1, bool pairs, uint dtype) {
    if (keep0 && keep1 && pairs) {
        store_bits_pair(x, first, bits.x, bits.y, dtype);
    } else {
        if (keep0)
            store_bits(x, first, bits.x, dtype);
        if (keep1)
            store_bits(x, first + 1, bits.y, dtype);
    }
}

#endif
