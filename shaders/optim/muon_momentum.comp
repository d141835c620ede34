// SPDX-License-Identifier: MIT
// Muon's momentum, all blocks of all parameters in one dispatch: M <- mu M + rate G.
//
// STATELESS (a macro): mu is 0 and M = rate G, which is not kept. Beside it, as what follows needs them: U = rate
// G + mu M (Nesterov) or M is stored, and the sums of its squares are left, three floats a workgroup in a fixed order.
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/muon.h"

#define JOB MuonMomentumJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/moment.glsl"
#include "optim/muon_direction.glsl"

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
    begin_gradient(j);
    uint flags = p.jobs.job[j].flags;
#ifndef STATELESS
    U32x4 momentum = p.jobs.job[j].momentum.quads;
    U32 momentum_words = p.jobs.job[j].momentum.words;
    uint parameter = p.jobs.job[j].momentum.parameter;
#endif
    F32x4 update = p.jobs.job[j].update;
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    MuonHyper h = hyper.h;

    vec3 sums = vec3(0.0);
    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 g = load_gradient(i, valid);
#ifdef STATELESS
        vec4 m = h.rate * g;
#else
        vec4 m = h.momentum * load_moment(momentum, i, valid) + h.rate * g;
        m = store_moment(momentum, momentum_words, i, valid, m, moment_draws(parameter, i)); // as muon_normalize has it
#endif
        vec4 u = muon_direction(m, g, h.momentum, h.rate, flags);
        if ((flags & MUON_UNSTORED) == 0u)
            store_state(update, 4u * q, valid, u);
        if ((FLAGS & PARTIAL_NORMS) != 0u) {
            for (uint k = 0u; k < 4u; ++k)
                blue_add(sums, u[k]); // components beyond `valid` are zero
        }
    }
    if ((FLAGS & PARTIAL_NORMS) == 0u)
        return;
    sums = workgroup_sum(sums);
    if (gl_LocalInvocationID.x == 0u) {
        F32 partials = p.jobs.job[j].partials;
        uint w = 3u * (group - p.jobs.job[j].first_group);
        partials.v[w] = sums.x;
        partials.v[w + 1u] = sums.y;
        partials.v[w + 2u] = sums.z;
    }
}
