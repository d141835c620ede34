// SPDX-License-Identifier: MIT
// Tiles of a matrix: which one a workgroup computes, and how a run of results is stored.
#ifndef HERON_CORE_TILE_GLSL
#define HERON_CORE_TILE_GLSL

#extension GL_EXT_control_flow_attributes : require
#include "core/half.glsl"

// (tile row, tile column) of workgroup t of rows x cols tiles, in bands of eight tile rows, so that workgroups that run at
// the same time share both operands in the cache.
uvec2 band_tile(uint t, uint rows, uint cols) {
    const uint BAND = 8;
    uint band = t / (BAND * cols);
    uint height = min(BAND, rows - band * BAND);
    uint rest = t - band * BAND * cols;
    return uvec2(band * BAND + rest % height, rest / height);
}

// (tile row, tile column) of workgroup t of the side (side + 1) / 2 tiles on and above the diagonal. Row h and a short row
// from the end fill one line of a rectangle:
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

// Stores `bits` (to_bits() of four values) to the four elements from `first` on that `mask` has bits for. `pairs`: `first` is
// even, and this invocation owns both halves of each word whose two bits are set.
void store_run(U32 x, uint first, uvec4 bits, uint mask, bool pairs, uint dtype) {
    [[unroll]] for (uint i = 0; i < 4; i += 2) {
        uint both = (mask >> i) & 3u;
        if (both == 3u && pairs) {
            store_bits_pair(x, first + i, bits[i], bits[i + 1], dtype);
        } else {
            if ((both & 1u) != 0u)
                store_bits(x, first + i, bits[i], dtype);
            if ((both & 2u) != 0u)
                store_bits(x, first + i + 1, bits[i + 1], dtype);
        }
    }
}

#endif
