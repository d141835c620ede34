// SPDX-License-Identifier: MIT
// Gram matrices of gradient windows from the sums over chunks: one workgroup a tile, both halves from the same number.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyGramSumJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

const uint W = WOODBURY_TILE;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 partials = p.jobs.job[j].partials;
    F32 gram = p.jobs.job[j].gram;
    uint rows = p.jobs.job[j].rows;
    uint tiles = p.jobs.job[j].tiles;
    uint chunks = p.jobs.job[j].chunks;
    uint item = group / tiles;
    uvec2 ij = woodbury_tile(group - item * tiles, (rows + W - 1) / W);
    for (uint k = gl_LocalInvocationID.x; k < W * W; k += gl_WorkGroupSize.x) {
        uint a = ij.x * W + k / W;
        uint b = ij.y * W + k % W;
        if (a > b || b >= rows)
            continue;
        float sum = 0.0;
        for (uint c = 0; c < chunks; ++c)
            sum += partials.v[(group * chunks + min(c, chunks - 1)) * W * W + k];
        gram.v[(item * rows + a) * rows + b] = sum;
        gram.v[(item * rows + b) * rows + a] = sum;
    }
}
