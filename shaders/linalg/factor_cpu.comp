// SPDX-License-Identifier: MIT
// Kronecker factors for CPU drivers: A <- decay A + weight a^T a, registers only, many jobs in one dispatch.
//
// As gemm_cpu.comp: a workgroup is one subgroup of L invocations and computes ROWS x (L COLS) elements of A on or above
// the diagonal, invocation l columns l COLS .. l COLS + COLS - 1 of the tile. L rows of a at a time: each invocation
// loads what one row of a has in the tile's rows, and shuffles hand it around.
//
// Macros: ROWS, COLS (even). SPEC_THREADS must be the subgroup size, and COLS times it a multiple of ROWS. Where a
// driver makes several subgroups of it, a plain loop gives the same result.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linalg/factor.h"
#define JOB FactorJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/factor_rows.glsl"

const uint LANES = gl_WorkGroupSize.x;

shared float results[ROWS * COLS * LANES];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;

    U32 from = p.jobs.job[j].from;
    U32 to = p.jobs.job[j].to;
    uint n = p.jobs.job[j].n;
    FactorRows rows = p.jobs.job[j].rows;
    uint features = rows.features;
    uint tiles = p.jobs.job[j].tiles;
    uint splits = p.jobs.job[j].splits;
    uint split_rows = p.jobs.job[j].split_rows;
    uint flags = p.jobs.job[j].flags;

    // Square pieces as wide as a tile; each is several tiles high.
    uint t = group % tiles;
    uint split = group / tiles % splits;
    uint item = group / tiles / splits;
    uint high = LANES * COLS / ROWS;
    uvec2 square = triangle_tile(t / high, p.jobs.job[j].tiles_n);
    uint lane = gl_LocalInvocationID.x;
    uint row0 = (square.x * high + t % high) * ROWS;
    uint col0 = (square.y * LANES + lane) * COLS;
    if (row0 >= n)
        return;
    uint begin = item * rows.item_stride;
    uint k_begin = split * split_rows;
    uint k_end = min(k_begin + split_rows, rows.count);
    uint first = rows.first;

    // What lies outside of A repeats the last column and is not stored.
    uvec3 a_place[ROWS];
    uvec3 b_place[COLS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        a_place[r] = column_place(rows, min(row0 + r, n - 1));
    [[unroll]] for (uint s = 0; s < COLS; ++s)
        b_place[s] = column_place(rows, min(col0 + s, n - 1));
    // The bias is column `features`: always a 1.
    float a_one[ROWS];
    float b_one[COLS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        a_one[r] = row0 + r >= features ? 1.0 : 0.0;
    [[unroll]] for (uint s = 0; s < COLS; ++s)
        b_one[s] = col0 + s >= features ? 1.0 : 0.0;

    // Totals are in memory, each invocation's its own. (That the rest can be a loop, too: unrolled, it would be thousands
    // of instructions.)
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        [[unroll]] for (uint s = 0; s < COLS; ++s)
            results[(r * COLS + s) * LANES + lane] = 0.0;

    bool one_subgroup = gl_NumSubgroups == 1;
    uint end = one_subgroup ? k_end : k_begin;
    for (uint piece = k_begin; piece < end; piece += FACTOR_SUM_ROWS) {
        float acc[ROWS][COLS];
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            [[unroll]] for (uint s = 0; s < COLS; ++s)
                acc[r][s] = 0.0;
        uint piece_end = min(piece + FACTOR_SUM_ROWS, k_end);
        for (uint k0 = piece; k0 < piece_end; k0 += LANES) {
            // lavapipe runs a loop once more than needed, with nobody active.
            uvec3 own = row_place(rows, row_position(rows, first + min(k0 + lane, k_end - 1)));
            float a_own[ROWS];
            [[unroll]] for (uint r = 0; r < ROWS; ++r)
                a_own[r] = a_one[r] + element(from, begin, own, a_place[r], rows, a_one[r] == 0.0);
            uint steps = min(piece_end - k0, LANES);
            for (uint u = 0; u < steps; ++u) {
                uvec3 row = subgroupShuffle(own, min(u, LANES - 1));
                float b_now[COLS];
                [[unroll]] for (uint s = 0; s < COLS; ++s)
                    b_now[s] = b_one[s] + element(from, begin, row, b_place[s], rows, b_one[s] == 0.0);
                [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                    float x = subgroupShuffle(a_own[r], u);
                    [[unroll]] for (uint s = 0; s < COLS; ++s)
                        acc[r][s] += x * b_now[s];
                }
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            [[unroll]] for (uint s = 0; s < COLS; ++s)
                results[(r * COLS + s) * LANES + lane] += acc[r][s];
    }

    float decay = p.jobs.job[j].decay;
    float weight = p.jobs.job[j].weight;
    uint to_row = p.jobs.job[j].to_row;
    uint to_item = item * p.jobs.job[j].to_item;
    bool partial = (flags & FACTOR_PARTIAL) != 0;
    bool has_old = (flags & FACTOR_HAS_OLD) != 0;
    uint there = min(ROWS, n - row0);
    for (uint r = 0; r < there; ++r) {
        uint row = row0 + r;
        for (uint s = 0; s < COLS; ++s) {
            uint col = col0 + s;
            float value = results[(r * COLS + s) * LANES + lane];
            if (!one_subgroup) {
                uvec3 a = column_place(rows, row);
                uvec3 b = column_place(rows, min(col, n - 1));
                value = 0.0;
                for (uint piece = k_begin; piece < k_end; piece += FACTOR_SUM_ROWS) {
                    float sum = 0.0;
                    for (uint k = piece; k < min(piece + FACTOR_SUM_ROWS, k_end); ++k) {
                        uvec3 place = row_place(rows, row_position(rows, first + min(k, k_end - 1)));
                        float x = row < features ? element(from, begin, place, a, rows, true) : 1.0;
                        float y = col < features ? element(from, begin, place, b, rows, true) : 1.0;
                        sum += x * y;
                    }
                    value += sum;
                }
            }
            if (col >= n || col < row)
                continue; // what is below the diagonal comes from above it
            if (partial) {
                to.v[((item * splits + split) * n + row) * n + col] = floatBitsToUint(value);
                continue;
            }
            value *= weight;
            if (has_old)
                value += decay * uintBitsToFloat(to.v[to_item + row * to_row + col]);
            to.v[to_item + row * to_row + col] = floatBitsToUint(value);
            if (col != row)
                to.v[to_item + col * to_row + row] = floatBitsToUint(value);
        }
    }
}
