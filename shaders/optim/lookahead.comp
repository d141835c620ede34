// SPDX-License-Identifier: MIT
// Lookahead's synchronization, all tensors in one dispatch (arXiv 1907.08610).
//
//   w <- alpha w + (1 - alpha) s;  s <- w
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/lookahead.h"

#define JOB LookaheadJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"
#include "optim/lookahead.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_weight(j);
    float alpha = p.jobs.job[j].alpha;
    F32x4 slow = p.jobs.job[j].slow;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 fast = load_weight(i, valid);
        vec4 w = clamp_finite(between(fast, load_state(slow, i, valid), alpha), WEIGHT_DTYPE);
        store_state(slow, i, valid, w);
        replace_weight(i, valid, fast, w);
    }
}
