// SPDX-License-Identifier: MIT
// GEMM for GPUs without matrix units, 16-bit operands: D = alpha op(A) op(B) + beta C, f16 or bf16 A and B, f32 sums,
// many jobs in one dispatch.
//
// As gemm_tiled, but operands stay pairs of 16 bits until they are multiplied: half of the shared memory and of the
// traffic with it, steps of k twice as long. What that costs is a conversion of every factor in every invocation; GPUs
// that take 16-bit factors in f32 multiply-adds have it for nothing. (f16 on an AMD navi21, Mesa 26.1: 128
// v_fma_mix_f32 for four k, no conversion.)
//
// A workgroup computes a TILE x TILE piece of D, an invocation (x, y) two blocks of four rows, and in them four columns
// that lie THREADS_X apart, since neighbours then read neighbouring lines from shared memory. Both operands lie there
// as lines (rows of op(A), columns of op(B)) of STEP elements along k:
//
//   pool:  line 0   | k, k + 1 | k + 2, k + 3 | ... | pad |
//          line 1   | ...
//
// Lines are padded to 72 bytes: sixteen of them, read 8 bytes at a time, touch every bank of shared memory once.
//
// From memory come 16 bytes at once where a line lies along k and everything is a multiple of that (GEMM_A_FOURS,
// GEMM_B_FOURS), else words, else, where rows of an odd number of elements begin in the middle of words, elements one
// by one. The next piece of k is on its way into registers while the present one is multiplied.
//
// SPEC_THREADS must be 128: each invocation brings eight k of two lines of each operand. (Tiles of 128 x 128 with 256
// invocations take 160 registers on an NVIDIA Volta, and spill on an Apple M1.) Shared memory: 9 KiB.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/gemm.h"
#define JOB GemmJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/active.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F16;
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F16;

const uint TILE = 64;
const uint STEP = 32; // of k
const uint THREADS_X = 16;
const uint THREADS_Y = 8;
const uint THREADS = THREADS_X * THREADS_Y;
const uint PITCH = STEP / 4 + 1; // of a line, in units of four elements
const uint POOL_B = TILE * PITCH;

// While storing: of one block of four rows of each invocation, rows 2 i and 2 i + 1 of column c at [i STAGE_PITCH + c],
// as floats.
const uint STAGE_ROWS = THREADS_Y * 4;
const uint STAGE_COLS = THREADS_X * 4;
const uint STAGE_PITCH = STAGE_COLS + 1;
shared uvec2 pool[2 * TILE * PITCH]; // more than the STAGE_ROWS / 2 STAGE_PITCH of results

float staged(uint r, uint c) {
    uvec2 both = pool[r / 2 * STAGE_PITCH + c];
    return uintBitsToFloat((r & 1) == 0 ? both.x : both.y);
}
void stage(uint r, uint c, float value) {
    if ((r & 1) == 0)
        pool[r / 2 * STAGE_PITCH + c].x = floatBitsToUint(value);
    else
        pool[r / 2 * STAGE_PITCH + c].y = floatBitsToUint(value);
}

#include "linalg/gemm_halves.glsl"
#include "linalg/gemm_stage.glsl"

// First line and first k of what an invocation brings. Neighbours read neighbouring memory, whichever way the operand
// lies.
uvec2 own_place(Source s, uint thread) {
    return s.k_stride == 1 ? uvec2(thread / (STEP / 8) * 2, thread % (STEP / 8) * 8)
                           : uvec2(thread % (TILE / 2) * 2, thread / (TILE / 2) * 8);
}

void put(uint begin, uvec2 place, uvec4 first, uvec4 second) {
    uint at = begin + place.x * PITCH + place.y / 4;
    pool[at] = first.xy;
    pool[at + 1] = first.zw;
    pool[at + PITCH] = second.xy;
    pool[at + PITCH + 1] = second.zw;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;

    U32 a = p.jobs.job[j].a;
    U32 b = p.jobs.job[j].b;
    U32x4 a_fours = p.jobs.job[j].a_fours;
    U32x4 b_fours = p.jobs.job[j].b_fours;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint k_count = p.jobs.job[j].k;
    uint flags = p.jobs.job[j].flags;
    uint tiles = p.jobs.job[j].tiles;

    uint item = group / tiles;
    if (is_inactive(j, item, GEMM_ACTIVE))
        return;
    uint t = group - item * tiles;
    uvec2 tile = (flags & GEMM_SYMMETRIC) != 0 ? triangle_tile(t, p.jobs.job[j].tiles_n)
                                               : band_tile(t, p.jobs.job[j].tiles_m, p.jobs.job[j].tiles_n);
    uint row0 = tile.x * TILE;
    uint col0 = tile.y * TILE;

    uint a_row = p.jobs.job[j].a_row;
    uint b_col = p.jobs.job[j].b_col;
    Source from_a = make_source(item * p.jobs.job[j].a_batch + row0 * a_row, m - row0, k_count, a_row, p.jobs.job[j].a_col,
                                (flags & GEMM_A_FOURS) != 0);
    Source from_b = make_source(item * p.jobs.job[j].b_batch + col0 * b_col, n - col0, k_count, b_col, p.jobs.job[j].b_row,
                                (flags & GEMM_B_FOURS) != 0);

    uint thread = gl_LocalInvocationID.x;
    uint x = thread % THREADS_X;
    uint y = thread / THREADS_X;
    uvec2 place_a = own_place(from_a, thread);
    uvec2 place_b = own_place(from_b, thread);

    vec4 acc[8];
    [[unroll]] for (uint r = 0; r < 8; ++r)
        acc[r] = vec4(0.0);

    uvec4 next_a[2];
    uvec4 next_b[2];
    for (uint k0 = 0; k0 < k_count + STEP; k0 += STEP) {
        // The first round only loads, the last one only multiplies.
        if (k0 > 0) {
            barrier(); // the piece before has been multiplied by all
            put(0, place_a, next_a[0], next_a[1]);
            put(POOL_B, place_b, next_b[0], next_b[1]);
            barrier();
        }
        if (k0 < k_count) {
            fetch(a, a_fours, from_a, place_a.x, k0 + place_a.y, next_a[0], next_a[1]);
            fetch(b, b_fours, from_b, place_b.x, k0 + place_b.y, next_b[0], next_b[1]);
        }
        if (k0 > 0) {
            // Four k at a time: the whole piece unrolled is more code than an instruction cache holds.
            [[dont_unroll]] for (uint four_k = 0; four_k < STEP / 4; ++four_k) {
                uvec2 b_words[4];
                [[unroll]] for (uint s = 0; s < 4; ++s)
                    b_words[s] = pool[POOL_B + (s * THREADS_X + x) * PITCH + four_k];
                [[unroll]] for (uint l = 0; l < 2; ++l) {
                    vec4 even, odd;
                    [[unroll]] for (uint s = 0; s < 4; ++s) {
                        vec2 pair = from_word(b_words[s][l], DTYPE_B);
                        even[s] = pair.x;
                        odd[s] = pair.y;
                    }
                    [[unroll]] for (uint r = 0; r < 8; ++r) {
                        vec2 pair = from_word(pool[((r / 4 * THREADS_Y + y) * 4 + r % 4) * PITCH + four_k][l], DTYPE_A);
                        acc[r] += pair.x * even;
                        acc[r] += pair.y * odd;
                    }
                }
            }
        }
    }

    // One block of each invocation at a time goes through shared memory, so that rows are stored by neighbours (and,
    // below the diagonal, columns). The accumulators are shifted: unrolled, this would be most of the code.
    [[dont_unroll]] for (uint block = 0; block < 2; ++block) {
        barrier(); // what was in shared memory has been read by all
        [[unroll]] for (uint r = 0; r < 4; r += 2)
            [[unroll]] for (uint s = 0; s < 4; ++s)
                pool[(y * 2 + r / 2) * STAGE_PITCH + s * THREADS_X + x] = floatBitsToUint(vec2(acc[r][s], acc[r + 1][s]));
        barrier();
        store_piece(j, item, Piece(row0 + block * STAGE_ROWS, col0, STAGE_ROWS, STAGE_COLS, thread, THREADS));
        [[unroll]] for (uint r = 0; r < 4; ++r)
            acc[r] = acc[r + 4];
    }
}
