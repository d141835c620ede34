// SPDX-License-Identifier: MIT
// Kronecker factors: A <- decay A + weight a^T a, tiles in shared memory, many jobs in one dispatch.
//
// As gemm_tiled.comp: a workgroup computes a 64 x 64 tile of A on or above the diagonal, invocation (x, y) two blocks
// of 4 x 4. 16 rows of a at a time lie in shared memory, the columns of the tile's rows and of its columns apart (once
// for tiles on the diagonal). Neighbours load neighbouring columns; an invocation always loads the same column, and
// walks along the rows. (No registers for the next piece: several workgroups share a compute unit, and the loads of
// patches are long.)
//
// 128 invocations; 8.5 KiB of shared memory.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/factor.h"
#define JOB FactorJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/factor_rows.glsl"

const uint TILE = 64;
const uint STEP = 16; // rows of a
const uint THREADS = 128;
const uint LOADS = TILE * STEP / THREADS;
const uint AT_ONCE = THREADS / TILE; // rows of a that are loaded side by side
const uint PITCH = TILE + 4;
const uint HALF = 32; // rows of a tile that are staged together

shared float pool[2 * STEP * PITCH];
const uint TILE_B = STEP * PITCH;
const uint STAGE_PITCH = TILE + 1;

vec4 four(uint at) { return vec4(pool[at], pool[at + 1], pool[at + 2], pool[at + 3]); }

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

    uvec2 tile = triangle_tile(group % tiles, p.jobs.job[j].tiles_n);
    uint split = group / tiles % splits;
    uint item = group / tiles / splits;
    uint row0 = tile.x * TILE;
    uint col0 = tile.y * TILE;
    bool diagonal = tile.x == tile.y;
    uint begin = item * rows.item_stride;
    uint k_begin = split * split_rows;
    uint k_end = min(k_begin + split_rows, rows.count);

    uint thread = gl_LocalInvocationID.x;
    uint x = thread % (TILE / 4);
    uint y = thread / (TILE / 4);

    // The columns of a that this invocation loads, and the position of the row that it loads next.
    uint own = thread % TILE;
    uvec3 a_place = column_place(rows, min(row0 + own, n - 1));
    uvec3 b_place = column_place(rows, min(col0 + own, n - 1));
    bool a_there = row0 + own < features;
    bool b_there = col0 + own < features;
    float a_one = row0 + own == features && features < n ? 1.0 : 0.0;
    float b_one = col0 + own == features && features < n ? 1.0 : 0.0;
    uvec3 position = row_position(rows, rows.first + k_begin + thread / TILE);

    vec4 acc[8], total[8];
    [[unroll]] for (uint r = 0; r < 8; ++r)
        acc[r] = total[r] = vec4(0.0);
    uint b_tile = diagonal ? 0u : TILE_B;
    for (uint k0 = k_begin; k0 < k_end; k0 += STEP) {
        barrier(); // the piece before has been multiplied by all
        // Unrolled, these and the products would be 44 KB on NVIDIA.
        [[dont_unroll]] for (uint q = 0; q < LOADS; ++q) {
            uint k = thread / TILE + q * AT_ONCE;
            bool there = k0 + k < k_end;
            uvec3 row = row_place(rows, position);
            float one = there ? 1.0 : 0.0;
            pool[k * PITCH + own] = a_one * one + element(from, begin, row, a_place, rows, there && a_there);
            if (!diagonal)
                pool[TILE_B + k * PITCH + own] = b_one * one + element(from, begin, row, b_place, rows, there && b_there);
            [[unroll]] for (uint s = 0; s < AT_ONCE; ++s)
                position = next_position(rows, position);
        }
        barrier();
        [[dont_unroll]] for (uint k4 = 0; k4 < STEP; k4 += 4)
            [[unroll]] for (uint k = k4; k < k4 + 4; ++k) {
                vec4 a_low = four(k * PITCH + 4 * y);
                vec4 a_high = four(k * PITCH + HALF + 4 * y);
                vec4 b_now = four(b_tile + k * PITCH + 4 * x);
                [[unroll]] for (uint r = 0; r < 4; ++r) {
                    acc[r] += a_low[r] * b_now;
                    acc[r + 4] += a_high[r] * b_now;
                }
            }
        if ((k0 + STEP - k_begin) % FACTOR_SUM_ROWS == 0 || k0 + STEP >= k_end)
            [[unroll]] for (uint r = 0; r < 8; ++r) {
                total[r] += acc[r];
                acc[r] = vec4(0.0);
            }
    }

    float decay = p.jobs.job[j].decay;
    float weight = p.jobs.job[j].weight;
    uint to_row = p.jobs.job[j].to_row;
    uint to_item = item * p.jobs.job[j].to_item;
    bool partial = (flags & FACTOR_PARTIAL) != 0;
    bool has_old = (flags & FACTOR_HAS_OLD) != 0;
    // Half a tile at a time goes through shared memory, so that rows are stored by neighbours (and, below the diagonal,
    // columns).
    for (uint part = 0; part < 2; ++part) {
        barrier(); // what was in shared memory has been read by all
        [[unroll]] for (uint r = 0; r < 4; ++r)
            [[unroll]] for (uint s = 0; s < 4; ++s)
                pool[(4 * y + r) * STAGE_PITCH + 4 * x + s] = part == 0 ? total[r][s] : total[r + 4][s];
        barrier();
        uint first_row = row0 + part * HALF;
        for (uint e = thread; e < HALF * TILE; e += THREADS) {
            uint row = first_row + e / TILE;
            uint col = col0 + e % TILE;
            if (row >= n || col >= n || col < row)
                continue; // what is below the diagonal comes from above it
            uint at = e / TILE * STAGE_PITCH + e % TILE;
            float value = pool[at];
            if (partial) {
                to.v[((item * splits + split) * n + row) * n + col] = floatBitsToUint(value);
                continue;
            }
            value *= weight;
            if (has_old)
                value += decay * uintBitsToFloat(to.v[to_item + row * to_row + col]);
            to.v[to_item + row * to_row + col] = floatBitsToUint(value);
            pool[at] = value;
        }
        if (partial)
            continue;
        barrier();
        for (uint e = thread; e < HALF * TILE; e += THREADS) {
            uint row = first_row + e % HALF;
            uint col = col0 + e / HALF;
            if (row < n && col < n && col > row)
                to.v[to_item + col * to_row + row] = floatBitsToUint(pool[e % HALF * STAGE_PITCH + e / HALF]);
        }
    }
}
