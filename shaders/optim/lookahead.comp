// SPDX-License-Identifier: MIT
// Lookahead's synchronization, all tensors in one dispatch (arXiv 1907.08610).
//
//   w <- alpha w + (1 - alpha) s;  s <- w;  momentum: b <- 0, or b <- alpha b + (1 - alpha) c, c <- b
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

// alpha x + (1 - alpha) y: from the nearer of the two, so that equal ones, and alpha = 0 or 1, change no bit; by
// halves, so that no difference overflows.
vec4 between(vec4 x, vec4 y, float alpha) {
    vec4 near = alpha >= 0.5 ? x : y;
    vec4 far = alpha >= 0.5 ? y : x;
    precise vec4 half_way = 0.5 * far - 0.5 * near;
    precise vec4 result = near + (2.0 * min(alpha, 1.0 - alpha)) * half_way;
    return result;
}

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
    uint flags = p.jobs.job[j].flags;
    float alpha = p.jobs.job[j].alpha;
    F32x4 slow = p.jobs.job[j].slow;
    F32x4 momentum = p.jobs.job[j].momentum;
    F32x4 slow_momentum = p.jobs.job[j].slow_momentum;

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
        if ((flags & LOOKAHEAD_RESET) != 0u)
            store_state(momentum, i, valid, vec4(0.0));
        if ((flags & LOOKAHEAD_PULLBACK) != 0u) {
            vec4 b = between(load_state(momentum, i, valid), load_state(slow_momentum, i, valid), alpha);
            store_state(momentum, i, valid, b);
            store_state(slow_momentum, i, valid, b);
        }
    }
}
