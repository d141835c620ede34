// SPDX-License-Identifier: MIT
// Columns of a Cholesky factor in shared memory, by one workgroup: a triangle, and rows below it where there are any.
// The includer has included core/kernel.glsl and core/reduce.glsl and defined POOL_FLOATS and row_at(i), the place of
// row i's first element in the pool; of row i the elements up to the diagonal are there, or all columns.
//
// Right-looking, four columns at a time:
//
//   factor   every invocation factors the 4 x 4 diagonal block in registers, which saves the barriers of doing it
//   together
//   solve    an invocation a row
//   update   an invocation a tile of 4 x 4 of what is right of them
//
// Loops are not unrolled beyond these fours: registers and code stay few on every GPU.
#ifndef HERON_LINALG_CHOLESKY_BLOCK_GLSL
#define HERON_LINALG_CHOLESKY_BLOCK_GLSL

#include "core/tile.glsl"
#include "linalg/cholesky_root.glsl"

const uint W = 4;

shared float pool[POOL_FLOATS];

// pool(i, j) -= sum over k < depth of X(i, k) X(j, k), for rows [from, rows) and columns [from, columns) up to the
// diagonal. X is at `stage`, rows of `stride` elements, or where stride is 0 part of the pool: columns `stage`... of
// its rows.
void update_in_pool(uint from, uint rows, uint columns, uint stage, uint stride, uint depth) {
    if (from >= columns)
        return;
    uint tile_rows = (rows - from + W - 1) / W;
    uint tile_cols = (columns - from + W - 1) / W;
    uint triangle_tiles = tile_cols * (tile_cols + 1) / 2;
    uint tiles = triangle_tiles + (tile_rows - tile_cols) * tile_cols;
    for (uint e = gl_LocalInvocationID.x; e < tiles; e += gl_WorkGroupSize.x) {
        uvec2 tile = triangle_tile(min(e, triangle_tiles - 1), tile_cols).yx;
        if (e >= triangle_tiles) {
            uint rest = e - triangle_tiles;
            tile = uvec2(tile_cols + rest / tile_cols, rest % tile_cols);
        }
        uint i0 = from + tile.x * W;
        uint j0 = from + tile.y * W;
        // Rows beyond the last one repeat it and are not stored.
        uint x_at[W];
        uint y_at[W];
        float acc[W][W];
        [[unroll]] for (uint r = 0; r < W; ++r) {
            uint i = min(i0 + r, rows - 1);
            uint j = min(j0 + r, columns - 1);
            x_at[r] = stride == 0 ? row_at(i) + stage : stage + i * stride;
            y_at[r] = stride == 0 ? row_at(j) + stage : stage + j * stride;
            [[unroll]] for (uint s = 0; s < W; ++s)
                acc[r][s] = 0.0;
        }
        for (uint k = 0; k < depth; ++k) {
            float y[W];
            [[unroll]] for (uint s = 0; s < W; ++s)
                y[s] = pool[y_at[s] + k];
            [[unroll]] for (uint r = 0; r < W; ++r) {
                float x = pool[x_at[r] + k];
                [[unroll]] for (uint s = 0; s < W; ++s)
                    acc[r][s] += x * y[s];
            }
        }
        [[unroll]] for (uint r = 0; r < W; ++r) {
            uint i = i0 + r;
            uint row = row_at(i);
            [[unroll]] for (uint s = 0; s < W; ++s)
                if (i < rows && j0 + s <= i && j0 + s < columns)
                    pool[row + j0 + s] -= acc[r][s];
        }
    }
}

// Factors the diagonal block of columns c to c + 3 and divides the rows below by it; `diagonal` is where the original
// diagonal lies in the pool, and a pivot must exceed `tolerance` times its element. More rows than columns need a
// multiple of four columns. False when a pivot was too small or not finite: the pool is garbage then. The same answer
// in all invocations, all of which have to come here after a barrier; update_in_pool() with these columns comes next,
// after another.
bool factor_in_pool(uint c, uint rows, uint columns, uint diagonal, float tolerance) {
    bool positive = true;
    float d[W][W];
    float inverse[W];
    [[unroll]] for (uint q = 0; q < W; ++q)
        [[unroll]] for (uint r = 0; r <= q; ++r)
            d[q][r] = c + q < columns ? pool[row_at(c + q) + c + r] : (q == r ? 1.0 : 0.0);
    [[unroll]] for (uint q = 0; q < W; ++q) {
        float least = c + q < columns ? tolerance * pool[diagonal + c + q] : 0.0;
        bool good = is_pivot(d[q][q], least);
        positive = positive && good;
        inverse[q] = reciprocal_root(good ? d[q][q] : 1.0);
        [[unroll]] for (uint r = q + 1; r < W; ++r)
            d[r][q] *= inverse[q];
        [[unroll]] for (uint r = q + 1; r < W; ++r)
            [[unroll]] for (uint s = q + 1; s <= r; ++s)
                d[r][s] -= d[r][q] * d[s][q];
    }
    barrier(); // all have read the block that its rows' owners now replace
    for (uint i = c + gl_LocalInvocationID.x; i < rows; i += gl_WorkGroupSize.x) {
        uint row = row_at(i) + c;
        float x[W];
        [[unroll]] for (uint q = 0; q < W; ++q) {
            float value = pool[row + min(q, i - c)]; // what is beyond the diagonal is not used
            [[unroll]] for (uint r = 0; r < q; ++r)
                value -= x[r] * d[q][r];
            x[q] = i == c + q ? root(value, inverse[q]) : value * inverse[q];
        }
        [[unroll]] for (uint q = 0; q < W; ++q)
            if (c + q <= i)
                pool[row + q] = x[q];
    }
    return positive;
}

#endif
