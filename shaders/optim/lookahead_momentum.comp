// SPDX-License-Identifier: MIT
// Lookahead's pull-back of momentum of any shape, f32 or bf16, all tensors in one dispatch (arXiv 1907.08610).
//
//   b <- alpha b + (1 - alpha) c;  c <- b, before it is rounded
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/lookahead.h"

#define JOB LookaheadMomentumJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/moment.glsl"
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
    U32x4 momentum = p.jobs.job[j].momentum.quads;
    U32 words = p.jobs.job[j].momentum.words;
    uint parameter = p.jobs.job[j].momentum.parameter;
    F32x4 slow = p.jobs.job[j].slow;
    float alpha = p.jobs.job[j].alpha;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 b = between(load_moment(momentum, i, valid), load_state(slow, i, valid), alpha);
        store_moment(momentum, words, i, valid, b, moment_draws(parameter, i));
        store_state(slow, i, valid, b);
    }
}
