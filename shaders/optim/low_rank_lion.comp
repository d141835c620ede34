// SPDX-License-Identifier: MIT
// Lion's momentum of gradients in another basis, all matrices in one dispatch:
//
//   D = m + r1 (a - m);  then m <- m + r2 (a - m)       r = 1 - beta
//
// The sign is taken where D has come back from the basis. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/low_rank.h"

#define JOB LowRankLionJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint first = p.jobs.job[j].range.first;
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    F32x4 gradient = p.jobs.job[j].gradient;
    F32x4 result = p.jobs.job[j].direction;
    F32x4 momentum = p.jobs.job[j].momentum;
    LionHyperRef hyper = p.jobs.job[j].hyper;
    LionHyper h = hyper.h;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 a = clamp(load_state(gradient, 4u * q, valid), -LARGEST_GRADIENT, LARGEST_GRADIENT);
        vec4 m = load_state(momentum, i, valid);
        store_state(momentum, i, valid, m + h.rate2 * (a - m));
        store_state(result, 4u * q, valid, m + h.rate1 * (a - m));
    }
}
