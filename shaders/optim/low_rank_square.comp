// SPDX-License-Identifier: MIT
// y = x^2, element by element, all matrices in one dispatch. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/low_rank.h"

#define JOB LowRankSquareJob
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
    F32x4 from = p.jobs.job[j].from;
    F32x4 to = p.jobs.job[j].to;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        vec4 x = load_state(from, 4u * q, valid);
        store_state(to, 4u * q, valid, x * x);
    }
}
