// SPDX-License-Identifier: MIT
// G = X^T X of the columns of each pair of blocks (JacobiGramJob). An invocation computes one 4 x 4 tile on or above
// the diagonal, summing in runs of 64 rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/jacobi.h"
#define JOB JacobiGramJob
#include "core/kernel.glsl"
#include "core/tile.glsl"
#include "linalg/jacobi.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint job = find_job(group);
    group -= p.jobs.job[job].first_group;
    F32 x = p.jobs.job[job].x;
    F32 g = p.jobs.job[job].g;
    U32 state = p.jobs.job[job].state;
    uint rows = p.jobs.job[job].rows;
    uint stride = p.jobs.job[job].stride;
    uint block = p.jobs.job[job].block;
    uint blocks = p.jobs.job[job].blocks;
    uint chunks = p.jobs.job[job].chunks;
    uint pair_index = group / chunks;
    uint item = pair_index / (blocks / 2u);
    if (state.v[item * JACOBI_STATE_WORDS + JACOBI_FROZEN] != 0u)
        return;
    uvec2 pair = jacobi_pair(pair_index - item * (blocks / 2u), p.jobs.job[job].round, blocks);
    uint m = 2u * block;
    uint quads = m / 4u;
    uint t = (group - pair_index * chunks) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (t >= quads * (quads + 1u) / 2u)
        return;
    uvec2 tile = 4u * triangle_tile(t, quads);
    uint at = item * p.jobs.job[job].item;
    uint left = at + tile.x + (tile.x < block ? pair.x : pair.y - 1u) * block;
    uint right = at + tile.y + (tile.y < block ? pair.x : pair.y - 1u) * block;

    vec4 total[4];
    [[unroll]] for (uint r = 0u; r < 4u; ++r)
        total[r] = vec4(0.0);
    for (uint k0 = 0u; k0 < rows; k0 += 64u) {
        vec4 acc[4];
        [[unroll]] for (uint r = 0u; r < 4u; ++r)
            acc[r] = vec4(0.0);
        for (uint k = k0; k < min(k0 + 64u, rows); ++k) {
            uint from = min(k, rows - 1u) * stride; // lavapipe runs a loop once more than needed, with nobody active
            uint l = left + from;
            uint b = right + from;
            vec4 other = vec4(x.v[b], x.v[b + 1u], x.v[b + 2u], x.v[b + 3u]);
            [[unroll]] for (uint r = 0u; r < 4u; ++r)
                acc[r] += x.v[l + r] * other;
        }
        [[unroll]] for (uint r = 0u; r < 4u; ++r)
            total[r] += acc[r];
    }
    uint to = pair_index * m * m + tile.x * m + tile.y;
    [[unroll]] for (uint r = 0u; r < 4u; ++r)
        [[unroll]] for (uint s = 0u; s < 4u; ++s)
            g.v[to + r * m + s] = total[r][s];
}
