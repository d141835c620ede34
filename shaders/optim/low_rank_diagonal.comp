// SPDX-License-Identifier: MIT
// L^T G R is diagonal where the bases L and R are singular vectors of G itself: what stands beside the diagonal is
// rounding, which Adam would make as large as the rest. It becomes zero, for all matrices in one dispatch. One
// workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/low_rank.h"

#define JOB LowRankDiagonalJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    F32x4 low = p.jobs.job[j].low;
    uint order = p.jobs.job[j].order;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uvec4 e = 4u * q + uvec4(0u, 1u, 2u, 3u);
        vec4 x = load_state(low, 4u * q, valid);
        store_state(low, 4u * q, valid, mix(vec4(0.0), x, equal(e % order, e / order % order)));
    }
}
