// SPDX-License-Identifier: MIT
// SignSGD and Signum, all tensors of all groups in one dispatch (arXiv 1802.04434).
//
//   m <- m + rate (g - m);  w <- (1 - lr wd) w - lr f sign(a m + b g)       without momentum sign(g)
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/signsgd.h"

#define JOB SignSgdJob
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
    SignSgdHyperRef hyper = p.jobs.job[j].hyper;
    SignSgdHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float kept = clamp_finite(1.0 - lr * parameter_decay(j, h.weight_decay));
    float size = lr * p.jobs.job[j].shape_factor;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid);
        vec4 w = load_weight(i, valid);
        vec4 direction = g;
        if ((FLAGS & SGD_MOMENTUM) != 0u) {
            U32x4 momentum = p.jobs.job[j].momentum.quads;
            vec4 m = load_moment(momentum, i, valid);
            m = m + h.rate * (g - m);
            U32 words = p.jobs.job[j].momentum.words;
            store_moment(momentum, words, i, valid, m, moment_draws(p.jobs.job[j].momentum.parameter, i));
            direction = h.momentum_part * m + h.gradient_part * g;
        }
        update_weight(i, valid, kept * w, size * sign(direction));
    }
}
