// SPDX-License-Identifier: MIT
// Lion, all tensors of all groups in one dispatch (arXiv 2302.06675).
//
//   w <- (1 - lr wd) w - lr sign(m + r1 (g - m));  then m <- m + r2 (g - m)       r = 1 - beta
//
// Decay after: what is subtracted decays, too. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/lion.h"

#define JOB LionJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/moment.glsl"
#include "optim/weight.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_gradient(j);
    begin_weight(j);
    U32x4 momentum = p.jobs.job[j].momentum.quads;
    U32 momentum_words = p.jobs.job[j].momentum.words;
    uint parameter = p.jobs.job[j].momentum.parameter;
    uint flags = p.jobs.job[j].flags;
    LionHyperRef hyper = p.jobs.job[j].hyper;
    LionHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float kept = clamp_finite(1.0 - lr * parameter_decay(j, h.weight_decay));

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid);
        vec4 w = load_weight(i, valid);
        vec4 m = load_moment(momentum, i, valid);
        vec4 direction = sign(m + h.rate1 * (g - m));
        store_moment(momentum, momentum_words, i, valid, m + h.rate2 * (g - m), moment_draws(parameter, i));
        vec4 update = lr * direction;
        update_weight(i, valid, kept * w, (flags & LION_DECAY_AFTER) != 0u ? kept * clamp_finite(update, DTYPE_F32) : update);
    }
}
