// SPDX-License-Identifier: MIT
// GEMM for GPUs without matrix units: D = alpha op(A) op(B) + beta C, tiles in shared memory, many jobs in one
// dispatch.
//
// A workgroup computes a TILE x TILE piece of D, invocation (x, y) ROW_BLOCKS x COL_BLOCKS blocks of 4 x 4 elements, so
// far apart that neighbours read neighbouring groups of four from shared memory:
//
//            columns 4 x .. 4 x + 3     and the same + TILE / COL_BLOCKS ...
//   rows     +---------+                +---------+
//   4 y ..   |  4 x 4  |                |  4 x 4  |
//   4 y + 3  +---------+                +---------+
//   and the same + TILE / ROW_BLOCKS ...
//
// Both operands lie in shared memory with their k outermost. The next piece of k is on its way from global memory into
// registers while the present one is multiplied.
//
// Macros: TILE, ROW_BLOCKS, COL_BLOCKS, STEP (of k). SPEC_THREADS must be (TILE / 4 / ROW_BLOCKS)
// (TILE / 4 / COL_BLOCKS). Shared memory: 8.5 KiB (64, 2, 1, 16), 16.25 KiB (128, 2, 2, 8).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/gemm.h"
#define JOB GemmJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/active.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32;

const uint THREADS_X = TILE / (4 * COL_BLOCKS);
const uint THREADS_Y = TILE / (4 * ROW_BLOCKS);
const uint THREADS = THREADS_X * THREADS_Y;
const uint LOADS = TILE * STEP / THREADS; // of each operand by each invocation
const uint PITCH = TILE + 4;              // against bank conflicts

// While multiplying: op(A)[row0 + i][k0 + k] at [k PITCH + i], and op(B)[k0 + k][col0 + j] likewise, TILE_B further.
// While storing: one block of each invocation, as a matrix. Floats, since a store to a component of a vec4 that is not
// known beforehand becomes a ladder of branches.
const uint TILE_B = STEP * PITCH;
const uint STAGE_ROWS = THREADS_Y * 4;
const uint STAGE_COLS = THREADS_X * 4;
const uint STAGE_PITCH = STAGE_COLS + 1;
shared float pool[max(2 * TILE_B, STAGE_ROWS * STAGE_PITCH)];

float staged(uint r, uint c) { return pool[r * STAGE_PITCH + c]; }
void stage(uint r, uint c, float value) { pool[r * STAGE_PITCH + c] = value; }

#include "linalg/gemm_stage.glsl"

vec4 four(uint at) { return vec4(pool[at], pool[at + 1], pool[at + 2], pool[at + 3]); }

// An invocation loads the LOADS elements of a TILE x STEP piece that begin at first_place() and lie next_place()
// apart: x across the tile, y along k. Neighbours load neighbouring elements of memory, whichever way the operand lies.
uvec2 first_place(uint thread, bool along_k) {
    return along_k ? uvec2(thread / STEP, thread % STEP) : uvec2(thread % TILE, thread / TILE);
}
uvec2 next_place(bool along_k) { return along_k ? uvec2(THREADS / STEP, 0) : uvec2(0, THREADS / TILE); }

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;

    U32 a = p.jobs.job[j].a;
    U32 b = p.jobs.job[j].b;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint k_count = p.jobs.job[j].k;
    uint tiles = p.jobs.job[j].tiles;
    bool symmetric = (p.jobs.job[j].flags & GEMM_SYMMETRIC) != 0;

    uint item = group / tiles;
    if (is_inactive(j, item, GEMM_ACTIVE))
        return;
    uint t = group - item * tiles;
    uvec2 tile = symmetric ? triangle_tile(t, p.jobs.job[j].tiles_n)
                           : band_tile(t, p.jobs.job[j].tiles_m, p.jobs.job[j].tiles_n);
    uint row0 = tile.x * TILE;
    uint col0 = tile.y * TILE;

    uint a_item = item * p.jobs.job[j].a_batch;
    uint b_item = item * p.jobs.job[j].b_batch;
    uint a_row = p.jobs.job[j].a_row;
    uint a_col = p.jobs.job[j].a_col;
    uint b_row = p.jobs.job[j].b_row;
    uint b_col = p.jobs.job[j].b_col;
    bool a_along_k = a_col == 1;
    bool b_along_k = b_row == 1;

    uint thread = gl_LocalInvocationID.x;
    uint x = thread % THREADS_X;
    uint y = thread / THREADS_X;

    vec4 acc[ROW_BLOCKS * 4][COL_BLOCKS];
    [[unroll]] for (uint r = 0; r < ROW_BLOCKS * 4; ++r)
        [[unroll]] for (uint s = 0; s < COL_BLOCKS; ++s)
            acc[r][s] = vec4(0.0);

    uvec2 a_first = first_place(thread, a_along_k);
    uvec2 b_first = first_place(thread, b_along_k);
    uvec2 a_next = next_place(a_along_k);
    uvec2 b_next = next_place(b_along_k);
    uint a_at = a_item + (row0 + a_first.x) * a_row + a_first.y * a_col;
    uint b_at = b_item + (col0 + b_first.x) * b_col + b_first.y * b_row;
    uint a_step = a_next.x * a_row + a_next.y * a_col;
    uint b_step = b_next.x * b_col + b_next.y * b_row;

    float next_a[LOADS];
    float next_b[LOADS];
    for (uint k0 = 0; k0 < k_count + STEP; k0 += STEP) {
        // The first round only loads, the last one only multiplies.
        if (k0 > 0) {
            barrier(); // the piece before has been multiplied by all
            [[unroll]] for (uint q = 0; q < LOADS; ++q) {
                uvec2 at = a_first + q * a_next;
                pool[at.y * PITCH + at.x] = next_a[q];
                at = b_first + q * b_next;
                pool[TILE_B + at.y * PITCH + at.x] = next_b[q];
            }
            barrier();
        }
        if (k0 < k_count) {
            // What lies outside of an operand counts as zero; the item's first element is read in its place.
            [[unroll]] for (uint q = 0; q < LOADS; ++q) {
                uvec2 at = a_first + q * a_next;
                bool inside = at.x < m - row0 && at.y < k_count - k0;
                float value = load(a, inside ? a_at + q * a_step + k0 * a_col : a_item, DTYPE_A);
                next_a[q] = inside ? value : 0.0;
                at = b_first + q * b_next;
                inside = at.x < n - col0 && at.y < k_count - k0;
                value = load(b, inside ? b_at + q * b_step + k0 * b_row : b_item, DTYPE_B);
                next_b[q] = inside ? value : 0.0;
            }
        }
        if (k0 > 0) {
            // In fours: the whole piece unrolled is more code than an instruction cache holds.
            [[dont_unroll]] for (uint four_k = 0; four_k < STEP; four_k += 4) {
                [[unroll]] for (uint l = 0; l < 4; ++l) {
                    uint k = four_k + l;
                    vec4 a_now[ROW_BLOCKS];
                    vec4 b_now[COL_BLOCKS];
                    [[unroll]] for (uint r = 0; r < ROW_BLOCKS; ++r)
                        a_now[r] = four(k * PITCH + (r * THREADS_Y + y) * 4);
                    [[unroll]] for (uint s = 0; s < COL_BLOCKS; ++s)
                        b_now[s] = four(TILE_B + k * PITCH + (s * THREADS_X + x) * 4);
                    [[unroll]] for (uint r = 0; r < ROW_BLOCKS * 4; ++r)
                        [[unroll]] for (uint s = 0; s < COL_BLOCKS; ++s)
                            acc[r][s] += a_now[r / 4][r % 4] * b_now[s];
                }
            }
        }
    }

    // One block of each invocation at a time goes through shared memory, so that rows are stored by neighbours (and,
    // below the diagonal, columns). The accumulators are shifted: unrolled, this would be most of the code.
    [[dont_unroll]] for (uint block = 0; block < ROW_BLOCKS * COL_BLOCKS; ++block) {
        barrier(); // what was in shared memory has been read by all
        [[unroll]] for (uint r = 0; r < 4; ++r)
            [[unroll]] for (uint s = 0; s < 4; ++s)
                pool[(y * 4 + r) * STAGE_PITCH + x * 4 + s] = acc[r][0][s];
        barrier();
        store_piece(j, item, Piece(row0 + block / COL_BLOCKS * STAGE_ROWS, col0 + block % COL_BLOCKS * STAGE_COLS, STAGE_ROWS,
                                   STAGE_COLS, thread, THREADS));
        [[unroll]] for (uint q = 0; q + 1 < ROW_BLOCKS * COL_BLOCKS; ++q)
            [[unroll]] for (uint r = 0; r < 4; ++r)
                acc[q / COL_BLOCKS * 4 + r][q % COL_BLOCKS] = acc[(q + 1) / COL_BLOCKS * 4 + r][(q + 1) % COL_BLOCKS];
    }
}
