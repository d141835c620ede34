// SPDX-License-Identifier: MIT
// GEMM for small results on GPUs: D = alpha op(A) op(B) + beta C, whole matrices, many of a batch in a workgroup, many
// jobs in one dispatch.
//
// An invocation computes a block of 4 x 4 elements of D, as many neighbours as a matrix has blocks the whole of it, and
// a workgroup as many matrices as it has invocations for: two of 32 x 32, eight of 16 x 16. gemm_tiled takes a tile of
// 64 x 64 for each of them.
//
// Step by step of k, the invocations of a matrix bring its part of both operands into shared memory:
//
//            matrix 0                     matrix 1
//   k        rows of op(A)  cols of op(B) rows of op(A)  cols of op(B) ... | pad |
//   k + 1    ...
//
// Steps are as long as fits, a multiple of four; there is no reading ahead: others of the many workgroups multiply
// meanwhile.
//
// SPEC_THREADS must be SMALL_THREADS. Shared memory: 8.25 KiB.
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

// While multiplying, as above. While storing: element e of the block of invocation t at [e SMALL_THREADS + t].
const uint PAD = 4; // against bank conflicts
const uint POOL = 4 * (SMALL_LINES + PAD);
shared float pool[POOL];

vec4 four(uint at) { return vec4(pool[at], pool[at + 1], pool[at + 2], pool[at + 3]); }

uint first_block; // invocation of the matrix's first block
uint blocks_n;    // blocks in a row of D

uint staged_at(uint r, uint c) { return (r % 4 * 4 + c % 4) * SMALL_THREADS + first_block + r / 4 * blocks_n + c / 4; }
float staged(uint r, uint c) { return pool[staged_at(r, c)]; }
void stage(uint r, uint c, float value) { pool[staged_at(r, c)] = value; }

#include "linalg/gemm_stage.glsl"

// One operand of one item, and the invocations that bring it.
struct Source {
    uint base, lines, line_stride, k_stride, k_count;
    uint begin;           // in the pool
    uint thread, threads;
};

// Elements k0 .. k0 + step - 1 of all lines, zeros after the last k. What the pool has after the last line only gets
// into elements outside of D. Neighbours load neighbouring elements of memory, whichever way the operand lies; four
// loads are on their way at a time.
void fetch(U32 x, uint dtype, Source s, uint k0, uint step, uint pitch) {
    const uint AHEAD = 4;
    bool along_k = s.k_stride == 1;
    uint extent = along_k ? step : s.lines;
    uint slow_extent = along_k ? s.lines : step;
    uint slow = s.thread / extent;
    uint fast = s.thread % extent;
    uint next_slow = s.threads / extent;
    uint next_fast = s.threads % extent;
    [[dont_unroll]] while (slow < slow_extent) {
        float value[AHEAD];
        uint to[AHEAD];
        [[unroll]] for (uint q = 0; q < AHEAD; ++q) {
            uint line = along_k ? slow : fast;
            uint k = along_k ? fast : slow;
            bool inside = slow < slow_extent && k0 + k < s.k_count;
            value[q] = load(x, inside ? s.base + line * s.line_stride + (k0 + k) * s.k_stride : s.base, dtype);
            value[q] = inside ? value[q] : 0.0;
            to[q] = slow < slow_extent ? s.begin + k * pitch + line : POOL;
            fast += next_fast;
            slow += next_slow + (fast >= extent ? 1 : 0);
            fast -= fast >= extent ? extent : 0;
        }
        [[unroll]] for (uint q = 0; q < AHEAD; ++q)
            if (to[q] < POOL)
                pool[to[q]] = value[q];
    }
}

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
    uint items = p.jobs.job[j].items;
    uint items_group = p.jobs.job[j].items_group;

    // Of A and B together a matrix has `lines`, each of whose fours belongs to a row or column of blocks.
    uint blocks_m = (m + 3) / 4;
    blocks_n = (n + 3) / 4;
    uint blocks = blocks_m * blocks_n;
    uint lines = (blocks_m + blocks_n) * 4;
    uint pitch = items_group * lines + PAD;
    uint longest = POOL / pitch & ~3u;
    uint rounds = (k_count + longest - 1) / longest;
    uint step = ((k_count + rounds - 1) / rounds + 3) & ~3u;

    uint thread = gl_LocalInvocationID.x;
    uint slot = thread / blocks;
    first_block = slot * blocks;
    uint own = thread - first_block;
    uint y = own / blocks_n;
    uint x = own - y * blocks_n;
    uint item = group * items_group + slot;
    bool busy = slot < items_group && item < items;
    item = min(item, items - 1);
    busy = busy && !is_inactive(j, item, GEMM_ACTIVE);

    uint begin_a = slot * lines;
    uint begin_b = begin_a + blocks_m * 4;
    Source from_a = Source(item * p.jobs.job[j].a_batch, m, p.jobs.job[j].a_row, p.jobs.job[j].a_col, k_count,
                           begin_a, own, blocks);
    Source from_b = Source(item * p.jobs.job[j].b_batch, n, p.jobs.job[j].b_col, p.jobs.job[j].b_row, k_count,
                           begin_b, own, blocks);

    vec4 acc[4] = vec4[4](vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0));
    for (uint k0 = 0; k0 < k_count; k0 += step) {
        barrier(); // the step before has been multiplied by all
        if (busy) {
            fetch(a, DTYPE_A, from_a, k0, step, pitch);
            fetch(b, DTYPE_B, from_b, k0, step, pitch);
        }
        barrier();
        if (busy)
            [[dont_unroll]] for (uint four_k = 0; four_k < step; four_k += 4) {
                [[unroll]] for (uint l = 0; l < 4; ++l) {
                    uint at = (four_k + l) * pitch;
                    vec4 a_now = four(at + begin_a + y * 4);
                    vec4 b_now = four(at + begin_b + x * 4);
                    [[unroll]] for (uint r = 0; r < 4; ++r)
                        acc[r] += a_now[r] * b_now;
                }
            }
    }

    barrier(); // what was in shared memory has been read by all
    [[unroll]] for (uint r = 0; r < 4; ++r)
        [[unroll]] for (uint s = 0; s < 4; ++s)
            pool[(r * 4 + s) * SMALL_THREADS + thread] = acc[r][s];
    barrier();
    store_piece(j, item, Piece(0, 0, busy ? blocks_m * 4 : 0, blocks_n * 4, own, blocks));
}
