// SPDX-License-Identifier: MIT
// jacobi_rotate.comp for CPU drivers: one subgroup takes ROWS rows of one pair. Each invocation keeps every W-th
// element of them in memory of its own and hands them around by shuffles (shaders/README.md), so that Y may be X, and
// computes COLS columns at a time.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linalg/jacobi.h"
#define JOB JacobiRotateJob
#include "core/kernel.glsl"
#include "linalg/jacobi.glsl"

layout(constant_id = SPEC_TILES) const uint ROWS = 32;
layout(constant_id = SPEC_ORDER) const uint ORDER = 128; // of the largest pair
layout(constant_id = SPEC_SUBGROUP) const uint W = 8;

const uint COLS = 8;

float own[ROWS * ((ORDER + W - 1) / W)];

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
    bool transposed = (p.jobs.job[job].flags & ROTATE_TRANSPOSED) != 0;
    uint pair_index = group / chunks; // of the batch
    uint chunk = group - pair_index * chunks;
    uint item = pair_index / (blocks / 2);
    if (state.v[item * JACOBI_STATE_WORDS + JACOBI_FROZEN] != 0)
        return;
    uvec2 pair = jacobi_pair(pair_index - item * (blocks / 2), p.jobs.job[job].round, blocks);
    uint first = pair.x * block;
    uint second = pair.y * block - block;
    uint m = 2 * block;
    uint pieces = (m + W - 1) / W;
    uint lane = gl_SubgroupInvocationID;
    uint row0 = chunk * ROWS;
    uint at = item * p.jobs.job[job].item;

    for (uint k0 = 0; k0 < pieces; ++k0) {
        uint col = min(k0 * W + lane, m - 1);
        col += col < block ? first : second;
        for (uint r = 0; r < ROWS; ++r)
            own[k0 * ROWS + r] = x.v[at + min(row0 + r, rows - 1) * stride + col];
    }
    uint j_at = pair_index * m * m;
    for (uint col0 = 0; col0 < m; col0 += W * COLS) {
        uint from[COLS];
        [[unroll]] for (uint s = 0; s < COLS; ++s)
            from[s] = j_at + min(col0 + s * W + lane, m - 1);
        float acc[ROWS][COLS];
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            [[unroll]] for (uint s = 0; s < COLS; ++s)
                acc[r][s] = 0.0;
        for (uint k = 0; k < m; ++k) {
            uint k_at = min(k, m - 1);
            float b[COLS];
            [[unroll]] for (uint s = 0; s < COLS; ++s)
                b[s] = j.v[from[s] + k_at * m];
            [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                float value = subgroupShuffle(own[k_at / W * ROWS + r], k_at % W);
                [[unroll]] for (uint s = 0; s < COLS; ++s)
                    acc[r][s] += value * b[s];
            }
        }
        [[unroll]] for (uint s = 0; s < COLS; ++s) {
            uint col = col0 + s * W + lane;
            bool stored = col < m;
            col += col < block ? first : second;
            [[unroll]] for (uint r = 0; r < ROWS; ++r)
                if (stored && row0 + r < rows)
                    y.v[at + (transposed ? col * stride + row0 + r : (row0 + r) * stride + col)] = acc[r][s];
        }
    }
}
