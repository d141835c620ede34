// SPDX-License-Identifier: MIT
// GEMM for CPU drivers: D = alpha op(A) op(B) + beta C, registers only, many jobs in one dispatch.
//
// A workgroup is one subgroup of L invocations and computes ROWS x (L COLS) elements of D: invocation l has columns
// l COLS .. l COLS + COLS - 1 of the tile, in all of its rows. Each step of k takes L columns of op(A), one an
// invocation, and hands them around by shuffles: on these drivers a load costs as much as thirty multiply-adds, uniform
// or not, and a shuffle costs two. (lavapipe 22.3 on two Zen 5 cores, 512 x 512: 44 GFLOP/s; uniform loads of A: 13;
// shared memory tiles of 64 x 64: 5. 32 rows and 8 columns are the best of 8..64 x 2..16; more do not fit the
// first-level cache.)
//
// Macros: ROWS, COLS (even): the tile of an invocation. SPEC_THREADS must be the subgroup size, and COLS times it a
// multiple of ROWS. Where a driver makes several subgroups of it, a plain loop gives the same result.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linalg/gemm.h"
#define JOB GemmJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/active.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_C) const uint DTYPE_C = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32;
layout(constant_id = SPEC_FLAGS) const uint FLAGS = 0;

const uint LANES = gl_WorkGroupSize.x;

shared float results[ROWS * COLS * LANES];

// The sums of two neighbouring elements of D, by plain loops.
vec2 plain_sums(U32 a, U32 b, uint a_at, uint b_at0, uint b_at1, uint a_col, uint b_row, uint k_count) {
    vec2 sums = vec2(0.0);
    for (uint begin = 0; begin < k_count; begin += SUM_PIECE) {
        vec2 part = vec2(0.0);
        for (uint k = begin; k < min(begin + SUM_PIECE, k_count); ++k)
            part += load(a, a_at + k * a_col, DTYPE_A) *
                    vec2(load(b, b_at0 + k * b_row, DTYPE_B), load(b, b_at1 + k * b_row, DTYPE_B));
        sums += part;
    }
    return sums;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;

    // Addresses one by one: a local copy of the whole struct stops SwiftShader.
    U32 a = p.jobs.job[j].a;
    U32 b = p.jobs.job[j].b;
    U32 c = p.jobs.job[j].c;
    U32 d = p.jobs.job[j].d;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint k_count = p.jobs.job[j].k;
    uint flags = p.jobs.job[j].flags;
    uint tiles = p.jobs.job[j].tiles;
    bool symmetric = (flags & GEMM_SYMMETRIC) != 0;

    uint item = group / tiles;
    if (is_inactive(j, item, GEMM_ACTIVE))
        return;
    uint t = group - item * tiles;
    uvec2 tile;
    if (symmetric) {
        // Square pieces as wide as a tile; each is several tiles high.
        uint high = LANES * COLS / ROWS;
        uvec2 square = triangle_tile(t / high, p.jobs.job[j].tiles_n);
        tile = uvec2(square.x * high + t % high, square.y);
    } else {
        tile = band_tile(t, p.jobs.job[j].tiles_m, p.jobs.job[j].tiles_n);
    }
    uint lane = gl_LocalInvocationID.x;
    uint row0 = tile.x * ROWS;
    uint col0 = (tile.y * LANES + lane) * COLS;
    if (row0 >= m)
        return; // the last square of a symmetric result

    // Rows and columns outside of D repeat the last one and are not stored.
    uint a_item = item * p.jobs.job[j].a_batch;
    uint b_item = item * p.jobs.job[j].b_batch;
    uint a_row = p.jobs.job[j].a_row;
    uint a_col = p.jobs.job[j].a_col;
    uint b_row = p.jobs.job[j].b_row;
    uint b_col = p.jobs.job[j].b_col;
    uint a_at[ROWS];
    uint b_at[COLS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        a_at[r] = a_item + min(row0 + r, m - 1) * a_row;
    [[unroll]] for (uint s = 0; s < COLS; ++s)
        b_at[s] = b_item + min(col0 + s, n - 1) * b_col;

    float total[ROWS][COLS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        [[unroll]] for (uint s = 0; s < COLS; ++s)
            total[r][s] = 0.0;

    bool one_subgroup = gl_NumSubgroups == 1;
    uint end = one_subgroup ? k_count : 0;
    for (uint begin = 0; begin < end; begin += SUM_PIECE) {
        float acc[ROWS][COLS];
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            [[unroll]] for (uint s = 0; s < COLS; ++s)
                acc[r][s] = 0.0;
        uint piece_end = min(begin + SUM_PIECE, k_count);
        uint k0 = begin;
        // SwiftShader, whose subgroups have four invocations, does a broadcast from a constant one in an instruction, a
        // shuffle in dozens: 6.2 GFLOP/s instead of 3.6 (512 x 512 x 512). Eight take lavapipe seconds to compile, for
        // nothing.
        if (LANES == 4)
            for (; k0 + 4 <= piece_end; k0 += 4) {
                float a_own[ROWS];
                [[unroll]] for (uint r = 0; r < ROWS; ++r)
                    a_own[r] = load(a, a_at[r] + min(k0 + lane, k_count - 1) * a_col, DTYPE_A);
                [[unroll]] for (uint u = 0; u < 4; ++u) {
                    float b_now[COLS];
                    [[unroll]] for (uint s = 0; s < COLS; ++s)
                        b_now[s] = load(b, b_at[s] + min(k0 + u, k_count - 1) * b_row, DTYPE_B);
                    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                        float x = subgroupBroadcast(a_own[r], u);
                        [[unroll]] for (uint s = 0; s < COLS; ++s)
                            acc[r][s] += x * b_now[s];
                    }
                }
            }
        for (; k0 < piece_end; k0 += LANES) {
            uint own_k = min(k0 + lane, k_count - 1); // lavapipe runs a loop once more than needed, with nobody active
            float a_own[ROWS];
            [[unroll]] for (uint r = 0; r < ROWS; ++r)
                a_own[r] = load(a, a_at[r] + own_k * a_col, DTYPE_A);
            uint steps = min(piece_end - k0, LANES);
            for (uint u = 0; u < steps; ++u) {
                uint k = min(k0 + u, k_count - 1);
                float b_now[COLS];
                [[unroll]] for (uint s = 0; s < COLS; ++s)
                    b_now[s] = load(b, b_at[s] + k * b_row, DTYPE_B);
                [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                    float x = subgroupShuffle(a_own[r], u);
                    [[unroll]] for (uint s = 0; s < COLS; ++s)
                        acc[r][s] += x * b_now[s];
                }
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            [[unroll]] for (uint s = 0; s < COLS; ++s)
                total[r][s] += acc[r][s];
    }

    // Through memory, each invocation what it wrote itself, so that the rest can be a loop: unrolled, it would be
    // thousands of instructions.
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        [[unroll]] for (uint s = 0; s < COLS; ++s)
            results[(r * COLS + s) * LANES + lane] = total[r][s];

    float alpha = p.jobs.job[j].alpha;
    float beta = p.jobs.job[j].beta;
    uint c_item = item * p.jobs.job[j].c_batch;
    uint d_item = item * p.jobs.job[j].d_batch;
    uint c_row = p.jobs.job[j].c_row;
    uint d_row = p.jobs.job[j].d_row;
    bool has_c = (flags & GEMM_HAS_C) != 0;
    bool pairs = (flags & GEMM_D_PAIRS) != 0;
    uint rows = min(ROWS, m - row0);
    for (uint r = 0; r < rows; ++r) {
        uint row = row0 + r;
        float squares = 0.0;
        for (uint s = 0; s < COLS; s += 2) {
            uint col = col0 + s;
            // Of a symmetric result, what lies below the diagonal comes from above it.
            bool keep0 = col < n && !(symmetric && col < row);
            bool keep1 = col + 1 < n && !(symmetric && col + 1 < row);
            vec2 value = vec2(results[(r * COLS + s) * LANES + lane], results[(r * COLS + s + 1) * LANES + lane]);
            if (!one_subgroup)
                value = plain_sums(a, b, a_item + row * a_row, b_item + min(col, n - 1) * b_col,
                                   b_item + min(col + 1, n - 1) * b_col, a_col, b_row, k_count);
            value *= alpha;
            if (has_c) {
                uint at = c_item + row * c_row + col;
                if (keep0)
                    value.x += beta * load(c, at, DTYPE_C);
                if (keep1)
                    value.y += beta * load(c, at + 1, DTYPE_C);
            }
            uvec2 bits = uvec2(to_bits(value.x, DTYPE_D), to_bits(value.y, DTYPE_D));
            store_two(d, d_item + row * d_row + col, bits, keep0, keep1, pairs, DTYPE_D);
            squares += (keep0 ? value.x * value.x : 0.0) + (keep1 ? value.y * value.y : 0.0);
            if (symmetric) {
                uint below = d_item + col * d_row + row;
                if (keep0 && col != row)
                    store_bits(d, below, bits.x, DTYPE_D);
                if (keep1 && col + 1 != row)
                    store_bits(d, below + d_row, bits.y, DTYPE_D);
            }
        }
        if ((FLAGS & PRODUCT_SQUARES) != 0)
            results[r * COLS * LANES + lane] = squares; // in the place of a sum that has been used
    }
    if ((FLAGS & PRODUCT_SQUARES) != 0) {
        barrier();
        F32 squares = p.jobs.job[j].squares;
        for (uint r = lane; r < rows; r += LANES) {
            float sum = 0.0;
            for (uint l = 0; l < LANES; ++l)
                sum += results[min(r, rows - 1) * COLS * LANES + l];
            squares.v[(item * m + row0 + min(r, rows - 1)) * p.jobs.job[j].tiles_n + tile.y] = sum;
        }
    }
}
