// SPDX-License-Identifier: MIT
// Gram matrices of Jacobians from the sums over chunks: a workgroup for each row of each tile, the invocations side by
// side over its elements and over the chunks. Sums are double-float, so their number does not matter; both halves of
// the matrix get the same number.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "aggregate/aggregate.h"

#define JOB AggregateGramSumJob
#include "core/double_float.glsl"
#include "core/kernel.glsl"
#include "core/tile.glsl"

const uint W = AGGREGATE_TILE;
shared vec2 scratch[gl_WorkGroupSize.x]; // a multiple of W

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 partials = p.jobs.job[j].partials;
    F32 gram = p.jobs.job[j].gram;
    uint k = p.jobs.job[j].objectives;
    uint chunks = p.jobs.job[j].chunks;
    uint side = (k + W - 1) / W;
    uint tiles = side * (side + 1) / 2;
    uint tile = group / W;
    uint row = group - tile * W;
    uvec2 ij = triangle_tile(tile, side);
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint col = t % W;

    vec2 sum = vec2(0.0);
    for (uint c = t / W; c < chunks; c += threads / W) {
        uint at = (min(c, chunks - 1) * tiles + tile) * W * W + row * W + col;
        sum = df_add(sum, vec2(partials.v[at], 0.0));
    }
    scratch[t] = sum;
    barrier();
    for (uint half_size = threads / 2; half_size >= W; half_size /= 2) {
        if (t < half_size)
            scratch[t] = df_add(scratch[t], scratch[t + half_size]);
        barrier();
    }
    uint a = ij.x * W + row;
    uint b = ij.y * W + col;
    if (t < W && a <= b && b < k) {
        float value = scratch[t].x;
        gram.v[a * k + b] = value;
        gram.v[b * k + a] = value;
    }
}
