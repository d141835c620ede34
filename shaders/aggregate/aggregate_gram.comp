// SPDX-License-Identifier: MIT
// Gram matrices of Jacobians: products of 8 x 8 pairs of rows over one chunk of one part; all parts in one dispatch.
// The invocations' sums, of a few hundred products each, are added up in a tree.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "aggregate/aggregate.h"

#define JOB AggregateGramJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

const uint W = AGGREGATE_TILE;
shared float scratch[W * gl_WorkGroupSize.x];

// The sums of one row of the tile over all invocations, which all have to come here.
void add_up(float sums[W], F32 partials, uint to) {
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    [[unroll]] for (uint c = 0; c < W; ++c)
        scratch[c * threads + t] = sums[c];
    barrier();
    [[dont_unroll]] for (uint half_size = threads / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            [[unroll]] for (uint c = 0; c < W; ++c)
                scratch[c * threads + t] += scratch[c * threads + t + half_size];
        barrier();
    }
    if (t < W)
        partials.v[to + t] = scratch[t * threads];
    barrier();
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 rows = p.jobs.job[j].rows;
    F32 partials = p.jobs.job[j].partials;
    uint n = p.jobs.job[j].n;
    uint stride = p.jobs.job[j].stride;
    uint k = p.jobs.job[j].objectives;
    uint tiles = p.jobs.job[j].tiles;
    uint length = p.jobs.job[j].chunk_length;
    uint chunk = group / tiles;
    uint tile = group - chunk * tiles;
    uvec2 ij = triangle_tile(tile, (k + W - 1) / W);
    bool diagonal = ij.x == ij.y;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    float acc[W][W];
    [[unroll]] for (uint r = 0; r < W; ++r)
        [[unroll]] for (uint c = 0; c < W; ++c)
            acc[r][c] = 0.0;
    uint begin = chunk * length;
    uint end = min(begin + length, n);
    for (uint i = begin + t; i < end; i += threads) {
        uint at = min(i, n - 1);
        // Rows beyond the last one are not there; what they would hold is not used.
        float x[W];
        [[unroll]] for (uint r = 0; r < W; ++r)
            x[r] = ij.x * W + r < k ? load(rows, min(ij.x * W + r, k - 1) * stride + at, DTYPE_A) : 0.0;
        [[unroll]] for (uint c = 0; c < W; ++c) {
            float y = x[c];
            if (!diagonal)
                y = ij.y * W + c < k ? load(rows, min(ij.y * W + c, k - 1) * stride + at, DTYPE_A) : 0.0;
            [[unroll]] for (uint r = 0; r < W; ++r)
                acc[r][c] += x[r] * y;
        }
    }
    uint to = group * W * W;
    // Calls, since compilers do not unroll what has loops and barriers in it, and would index `acc`.
    add_up(acc[0], partials, to);
    add_up(acc[1], partials, to + W);
    add_up(acc[2], partials, to + 2 * W);
    add_up(acc[3], partials, to + 3 * W);
    add_up(acc[4], partials, to + 4 * W);
    add_up(acc[5], partials, to + 5 * W);
    add_up(acc[6], partials, to + 6 * W);
    add_up(acc[7], partials, to + 7 * W);
}
