// SPDX-License-Identifier: MIT
// Y = X J, or its transpose, for the columns of each pair of blocks (JacobiRotateJob).
//
// A workgroup takes THREADS / LANES x 4 rows of one pair. It copies them to shared memory first, so that Y may be X; an
// invocation computes tiles of 4 rows x 4 columns.
//
// Needs 16 POOL bytes of shared memory; 4 THREADS / LANES x m <= 4 POOL.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/jacobi.h"
#define JOB JacobiRotateJob
#include "core/kernel.glsl"
#include "linalg/jacobi.glsl"

layout(constant_id = SPEC_LANES) const uint LANES = 8;
layout(constant_id = SPEC_POOL) const uint POOL = 256;

shared vec4 pool[POOL]; // rows x m / 4

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint job = find_job(group);
    group -= p.jobs.job[job].first_group;
    F32 x = p.jobs.job[job].x;
    F32 y = p.jobs.job[job].y;
    F32 j = p.jobs.job[job].j;
    U32 state = p.jobs.job[job].state;
    uint rows = p.jobs.job[job].rows;
    uint stride = p.jobs.job[job].stride;
    uint block = p.jobs.job[job].block;
    uint blocks = p.jobs.job[job].blocks;
    uint chunks = p.jobs.job[job].chunks;
    bool transposed = (p.jobs.job[job].flags & ROTATE_TRANSPOSED) != 0u;
    uint pair_index = group / chunks; // of the batch
    uint chunk = group - pair_index * chunks;
    uint item = pair_index / (blocks / 2u);
    if (state.v[item * JACOBI_STATE_WORDS + JACOBI_FROZEN] != 0u)
        return;
    uvec2 pair = jacobi_pair(pair_index - item * (blocks / 2u), p.jobs.job[job].round, blocks);
    uint first = pair.x * block;
    uint second = pair.y * block - block;
    uint m = 2u * block;
    uint quads = m / 4u;
    uint t = gl_LocalInvocationID.x;
    const uint TILES = gl_WorkGroupSize.x / LANES;
    uint row0 = chunk * 4u * TILES;
    uint at = item * p.jobs.job[job].item;

    for (uint i = t; i < 4u * TILES * quads; i += gl_WorkGroupSize.x) {
        uint row = i / quads;
        uint col = 4u * (i - row * quads);
        uint from = at + min(row0 + row, rows - 1u) * stride + col + (col < block ? first : second);
        pool[i] = vec4(x.v[from], x.v[from + 1u], x.v[from + 2u], x.v[from + 3u]);
    }
    barrier();

    // One tile row where the lanes are the whole workgroup: uniform, which CPU drivers like.
    uint tile = TILES == 1u ? 0u : t / LANES;
    uint lane = TILES == 1u ? t : t % LANES;
    uint j_at = pair_index * m * m;
    uint x_at = tile * 4u * quads;
    for (uint quad = lane; quad < quads; quad += LANES) {
        uint j_col = j_at + 4u * quad;
        vec4 acc[4];
        [[unroll]] for (uint r = 0u; r < 4u; ++r)
            acc[r] = vec4(0.0);
        for (uint k = 0u; k < quads; ++k) {
            vec4 l[4];
            [[unroll]] for (uint r = 0u; r < 4u; ++r)
                l[r] = pool[x_at + r * quads + k];
            [[unroll]] for (uint s = 0u; s < 4u; ++s) {
                uint from = j_col + (4u * k + s) * m;
                vec4 b = vec4(j.v[from], j.v[from + 1u], j.v[from + 2u], j.v[from + 3u]);
                [[unroll]] for (uint r = 0u; r < 4u; ++r)
                    acc[r] += l[r][s] * b;
            }
        }
        uint col = 4u * quad;
        col += col < block ? first : second;
        uint row = row0 + 4u * tile;
        if (transposed) {
            [[unroll]] for (uint s = 0u; s < 4u; ++s) {
                uint to = at + (col + s) * stride + row;
                [[unroll]] for (uint r = 0u; r < 4u; ++r)
                    if (row + r < rows)
                        y.v[to + r] = acc[r][s];
            }
        } else {
            [[unroll]] for (uint r = 0u; r < 4u; ++r)
                if (row + r < rows) {
                    uint to = at + (row + r) * stride + col;
                    [[unroll]] for (uint s = 0u; s < 4u; ++s)
                        y.v[to + s] = acc[r][s];
                }
        }
    }
}
