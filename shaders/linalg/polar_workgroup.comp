// SPDX-License-Identifier: MIT
// Polar factors of small matrices by Newton-Schulz: norm, normalisation and all iterations in one dispatch, one
// workgroup a matrix, for matrices of any mix of shapes.
//
//   X = A / nu,   then each iteration   S = X X^T,   B = b S + c S S (S where c = 0),   X <- a X + B X (a X + b B X)
//
// X lies in shared memory as k x K (k the short side, so a tall matrix is transposed on its way in and out), column
// after column, S behind it:
//
//   pool[l q + i]            the four elements 4 i .. 4 i + 3 of column l of X, l < K, q = ceil(k / 4)
//   pool[K q + l q + i]      the same of S, l < 4 q
//
// k is padded to a multiple of 4 with zeros, which every product keeps. An invocation computes tiles of 4 x 4. What
// replaces its own input (B, X) stays in registers until a barrier; X in strips of columns, which depend on nothing
// else. S and B are symmetric: tiles on and above the diagonal, written twice. For long matrices, whose S has few
// tiles, the sum over K is split among the idle invocations (scratch behind S, where there is room). Everything is f32,
// also for 16-bit results, and the sums of squares of the result's rows, where they are wanted.
//
// Needs 16 q (K + 4 q) bytes of shared memory (POOL vectors), q (q + 1) / 2 <= TILES invocations, POOL >= invocations,
// and at most 256 invocations.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "core/shared.h"
#include "linalg/polar_workgroup.h"
#include "linalg/status.h"

#define JOB PolarWorkgroupJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/polar_norm.glsl"

layout(constant_id = SPEC_TILES) const uint TILES = 1;   // tiles of B, or of a strip of X, per invocation
layout(constant_id = SPEC_POOL) const uint POOL = 1024; // vectors of shared memory

shared vec4 pool[POOL];

// The sum over all invocations, in two steps of at most 16.
vec3 sum_over_workgroup(vec3 x) {
    uint t = gl_LocalInvocationID.x;
    uint groups = (gl_WorkGroupSize.x + 15) / 16;
    pool[t] = vec4(x, 0.0);
    barrier();
    vec4 total = vec4(0.0);
    if (t < groups)
        [[dont_unroll]] for (uint i = 16 * t; i < min(16 * t + 16, gl_WorkGroupSize.x); ++i)
            total += pool[i];
    barrier();
    if (t < groups)
        pool[t] = total;
    barrier();
    total = vec4(0.0);
    [[dont_unroll]] for (uint i = 0; i < groups; ++i)
        total += pool[i];
    barrier(); // the pool is free again
    return total.xyz;
}

// Tile (i, j) of M M^T, M having `length` columns from `base`.
mat4 symmetric_tile(uint base, uint length, uint q, uvec2 ij) {
    mat4 acc = mat4(0.0); // acc[r]: row 4 i + r
    uint a_at = base + ij.x;
    uint b_at = base + ij.y;
    for (uint l = 0; l < length; ++l) {
        vec4 a = pool[a_at];
        vec4 b = pool[b_at];
        acc[0] += a.x * b;
        acc[1] += a.y * b;
        acc[2] += a.z * b;
        acc[3] += a.w * b;
        a_at += q;
        b_at += q;
    }
    return acc;
}

#include "linalg/pool_tile.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 x = p.jobs.job[j].x;
    U32 result = p.jobs.job[j].result;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint item = group - p.jobs.job[j].first_group;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint count = rows * cols;
    uint x_stride = p.jobs.job[j].x_stride;
    uint x_dtype = p.jobs.job[j].x_dtype;
    uint x_base = item * p.jobs.job[j].x_item;

    bool tall = rows > cols;
    uint k = tall ? cols : rows; // K is the length of the long side
    uint K = tall ? rows : cols;
    uint q = (k + 3) / 4;
    uint s_base = K * q;

    // --- X = A / nu
    vec2 scale = vec2(1.0);
    uint flags = p.jobs.job[j].flags;
    uint norm_rule = p.jobs.job[j].norm_rule;
    if (norm_rule != POLAR_NORM_NONE) {
        vec3 acc = vec3(0.0);
        for (uint i = t; i < count; i += threads) {
            uint row = i / cols;
            blue_add(acc, load(x, x_base + row * x_stride + (i - row * cols), x_dtype));
        }
        acc = sum_over_workgroup(acc);
        scale = polar_scale(acc, norm_rule == POLAR_NORM_CLAMPED, p.jobs.job[j].norm_factor, p.jobs.job[j].eps);
        if (t == 0 && (flags & POLAR_WORKGROUP_STATUS) != 0) {
            U32 status = p.jobs.job[j].status;
            status.v[item] = polar_status(scale);
        }
    }
    for (uint i = t; i < K * q; i += threads) {
        uint l = i / q;
        uint first = 4 * (i - l * q);
        vec4 column = vec4(0.0);
        [[dont_unroll]] for (uint r = 0; r < 4; ++r)
            if (first + r < k) {
                uint at = tall ? l * x_stride + first + r : (first + r) * x_stride + l;
                column[r] = polar_scaled(load(x, x_base + at, x_dtype), scale);
            }
        pool[i] = column;
    }
    barrier();

    // --- Iterations
    uint symmetric_tiles = q * (q + 1) / 2;
    uint strip_width = p.jobs.job[j].strip_width;
    uint tile_columns = (K + 3) / 4;
    uint scratch = s_base + 4 * q * q;
    uint splits = p.jobs.job[j].splits;
    uint share = (K + splits - 1) / splits;
    uint tile_column[TILES]; // of this invocation's tiles of a strip
    [[unroll]] for (uint n = 0; n < TILES; ++n)
        tile_column[n] = (t + n * threads) / q;
    uint iterations = p.jobs.job[j].iterations;
    for (uint iteration = 0; iteration < iterations; ++iteration) {
        float ca = p.jobs.job[j].coefficients[3 * iteration];
        float cb = p.jobs.job[j].coefficients[3 * iteration + 1];
        float cc = p.jobs.job[j].coefficients[3 * iteration + 2];

        // A single round where sums are split: then there are enough invocations.
        for (uint first = 0; first < splits * symmetric_tiles; first += threads) {
            uint part = (first + t) / symmetric_tiles;
            uint tile = first + t - part * symmetric_tiles;
            uvec2 ij = triangle_tile(tile, q);
            mat4 sum = mat4(0.0);
            if (part < splits) {
                uint begin = part * share;
                sum = symmetric_tile(begin * q, min(share, K - begin), q, ij);
            }
            if (splits > 1) {
                if (part > 0 && part < splits)
                    for (uint r = 0; r < 4; ++r)
                        pool[scratch + 4 * (t - symmetric_tiles) + r] = sum[r];
                barrier();
                if (part == 0)
                    for (uint other = 1; other < splits; ++other)
                        for (uint r = 0; r < 4; ++r)
                            sum[r] += pool[scratch + 4 * (tile + (other - 1) * symmetric_tiles) + r];
            }
            if (part == 0)
                write_symmetric_tile(s_base, q, ij, sum);
        }
        barrier();

        mat4 acc[TILES];
        if (cc != 0.0) {
            [[unroll]] for (uint n = 0; n < TILES; ++n) {
                uint tile = t + n * threads;
                if (tile < symmetric_tiles) {
                    uvec2 ij = triangle_tile(tile, q);
                    acc[n] = cc * symmetric_tile(s_base, 4 * q, q, ij);
                    for (uint r = 0; r < 4; ++r)
                        acc[n][r] += cb * pool[s_base + (4 * ij.x + r) * q + ij.y];
                }
            }
            barrier();
            [[unroll]] for (uint n = 0; n < TILES; ++n) {
                uint tile = t + n * threads;
                if (tile < symmetric_tiles)
                    write_symmetric_tile(s_base, q, triangle_tile(tile, q), acc[n]);
            }
            barrier();
        }

        float product_factor = cc != 0.0 ? 1.0 : cb;
        for (uint strip = 0; strip < tile_columns; strip += strip_width) {
            uint strip_tiles = min(strip_width, tile_columns - strip) * q;
            [[unroll]] for (uint n = 0; n < TILES; ++n) {
                uint tile = t + n * threads;
                if (tile < strip_tiles) {
                    uint i = tile - tile_column[n] * q;
                    uint first = 4 * (strip + tile_column[n]);
                    // Columns beyond the last one repeat it and are not written.
                    uvec4 at = min(first + uvec4(0, 1, 2, 3), uvec4(K - 1)) * q;
                    mat4 y = mat4(0.0); // y[r]: column first + r
                    uint b_at = s_base + i;
                    for (uint l = 0; l < q; ++l) {
                        vec4 b0 = pool[b_at];
                        vec4 b1 = pool[b_at + q];
                        vec4 b2 = pool[b_at + 2 * q];
                        vec4 b3 = pool[b_at + 3 * q];
                        b_at += 4 * q;
                        [[unroll]] for (uint r = 0; r < 4; ++r) {
                            vec4 v = pool[at[r] + l];
                            y[r] += v.x * b0;
                            y[r] += v.y * b1;
                            y[r] += v.z * b2;
                            y[r] += v.w * b3;
                        }
                    }
                    [[unroll]] for (uint r = 0; r < 4; ++r)
                        acc[n][r] = ca * pool[at[r] + i] + product_factor * y[r];
                }
            }
            barrier();
            [[unroll]] for (uint n = 0; n < TILES; ++n) {
                uint tile = t + n * threads;
                if (tile < strip_tiles) {
                    uint i = tile - tile_column[n] * q;
                    uint first = 4 * (strip + tile_column[n]);
                    [[unroll]] for (uint r = 0; r < 4; ++r)
                        if (first + r < K)
                            pool[(first + r) * q + i] = acc[n][r];
                }
            }
        }
        barrier();
    }

    // --- Result, two neighbours of a row per invocation, so that 16-bit elements are written in whole words
    uint result_stride = p.jobs.job[j].result_stride;
    uint result_dtype = p.jobs.job[j].result_dtype;
    uint result_base = item * p.jobs.job[j].result_item;
    bool whole_words = result_dtype == DTYPE_F32 || ((result_base | result_stride) & 1u) == 0;
    uint pairs_per_row = (cols + 1) / 2;
    uint pairs = rows * pairs_per_row;
    for (uint i = t; i < pairs; i += threads) {
        uint row = i / pairs_per_row;
        uint col = 2 * (i - row * pairs_per_row);
        bool two = col + 1 < cols;
        vec2 pair = vec2(0.0);
        if (tall) {
            vec4 v = pool[row * q + col / 4];
            pair = (col & 2u) == 0 ? v.xy : v.zw;
        } else {
            pair.x = pool[col * q + row / 4][row & 3u];
            if (two)
                pair.y = pool[(col + 1) * q + row / 4][row & 3u];
        }
        uint to = result_base + row * result_stride + col;
        store_two(result, to, uvec2(to_bits(pair.x, result_dtype), to_bits(pair.y, result_dtype)), true, two, whole_words,
                  result_dtype);
    }

    // --- Squares of the result's rows, in X's place. A row of a tall matrix is q quads in a row, all of each; else it
    // is one element of K quads that are q apart, which are added up to `parts` before that.
    if ((flags & POLAR_ROW_SQUARES) == 0)
        return;
    barrier(); // X has been stored
    uint parts = tall ? K : min(K, strip_width);
    for (uint i = t; i < parts * q; i += threads) {
        vec4 sum = vec4(0.0);
        for (uint at = i; at < K * q; at += parts * q)
            sum += pool[at] * pool[at];
        pool[i] = sum; // nobody else reads quad i
    }
    barrier();
    F32 row_squares = p.jobs.job[j].row_squares;
    for (uint row = t; row < rows; row += threads) {
        vec4 mine = tall ? vec4(1.0) : vec4(equal(uvec4(row & 3u), uvec4(0, 1, 2, 3)));
        uint at = tall ? row * q : row / 4;
        float sum = 0.0;
        for (uint left = tall ? q : parts; left > 0; --left) {
            sum += dot(mine, pool[at]);
            at += tall ? 1 : q;
        }
        row_squares.v[item * rows + row] = sum;
    }
}
