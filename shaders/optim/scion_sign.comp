// SPDX-License-Identifier: MIT
// Scion's step in the norm whose oracle is the sign, all blocks in one dispatch:
//
//   M <- mu M + rate G      W <- W - lr wd W - lr factor sign(M)
//
// STATELESS (a macro): mu is 0 and M = rate G, which is not kept. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/scion.h"

#define JOB ScionSignJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/moment.glsl"
#include "optim/weight.glsl"
#include "optim/muon_decay.glsl"

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
    begin_weight(j);
#ifndef STATELESS
    U32x4 momentum = p.jobs.job[j].momentum.quads;
    U32 momentum_words = p.jobs.job[j].momentum.words;
    uint parameter = p.jobs.job[j].momentum.parameter;
#endif
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    MuonHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float decay = matrix_decay(j, lr, h.weight_decay, 0u);
    float scale = clamp_finite(lr * p.jobs.job[j].factor);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 g = load_gradient(i, valid);
        vec4 w = load_weight(i, valid);
#ifdef STATELESS
        vec4 m = h.rate * g;
#else
        vec4 m = h.momentum * load_moment(momentum, i, valid) + h.rate * g;
        store_moment(momentum, momentum_words, i, valid, m, moment_draws(parameter, i));
#endif
        update_weight(i, valid, decayed(w, m, decay, 0u), scale * sign(m));
    }
}
