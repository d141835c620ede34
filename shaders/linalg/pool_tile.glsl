// SPDX-License-Identifier: MIT
// Tiles of symmetric matrices in shared memory. The includer has declared `shared vec4 pool[]`: rows of q vectors.
#ifndef HERON_LINALG_POOL_TILE_GLSL
#define HERON_LINALG_POOL_TILE_GLSL

// Tile (i, j), i <= j, of the matrix from `base` on, and its mirror image. tile[r]: row 4 i + r.
void write_symmetric_tile(uint base, uint q, uvec2 ij, mat4 tile) {
    for (uint r = 0; r < 4; ++r)
        pool[base + (4 * ij.x + r) * q + ij.y] = tile[r];
    if (ij.x != ij.y) {
        mat4 mirrored = transpose(tile);
        for (uint r = 0; r < 4; ++r)
            pool[base + (4 * ij.y + r) * q + ij.x] = mirrored[r];
    }
}

#endif
