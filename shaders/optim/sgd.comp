// SPDX-License-Identifier: MIT
// Stochastic gradient descent as torch.optim.SGD, all tensors of all groups in one dispatch.
//
//   g <- G + wd w (coupled);  b <- mu b + rate g;  w <- w - lr (g + mu b | b | g)
//
// rate = 1 - dampening, but 1 in the first step. Decoupled decay: w <- (1 - lr wd) w instead of the first formula.
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/sgd.h"

#define JOB SgdJob
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
    uint flags = p.jobs.job[j].flags;
    SgdHyperRef hyper = p.jobs.job[j].hyper;
    SgdHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float decay = parameter_decay(j, h.weight_decay);
    float kept = clamp_finite(1.0 - lr * decay);
    bool decoupled = (flags & SGD_DECOUPLED) != 0u;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid);
        vec4 w = load_weight(i, valid);
        if (!decoupled)
            g = limit_gradient(g + decay * w);
        vec4 update = g;
        if ((FLAGS & SGD_MOMENTUM) != 0u) {
            U32x4 momentum = p.jobs.job[j].momentum.quads;
            vec4 b = h.momentum * load_moment(momentum, i, valid) + h.rate * g;
            U32 words = p.jobs.job[j].momentum.words;
            store_moment(momentum, words, i, valid, b, moment_draws(p.jobs.job[j].momentum.parameter, i));
            update = (flags & SGD_NESTEROV) != 0u ? g + h.momentum * b : b;
        }
        update_weight(i, valid, decoupled ? kept * w : w, lr * update);
    }
}
