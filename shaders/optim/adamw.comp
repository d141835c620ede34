// SPDX-License-Identifier: MIT
// AdamW and AMSGrad, all tensors of all groups in one dispatch (decoupled weight decay, arXiv 1711.05101).
//
//   m <- m + r1 (g - m)             v <- v + r2 (g^2 - v)           r = 1 - beta
//   w <- (1 - lr wd) w - lr (m s) / (sqrt(x d) + eps)               x: v, or its largest value so far (AMSGrad)
//
// s and d are the bias corrections, or for Moonlight's form s = sqrt(1 - beta2^t) / (1 - beta1^t), d = 1. A quotient
// 0 / 0 counts as 0 (eps = 0 and no gradient yet). Cautious: decays only where m w >= 0, w as before the step. Decay
// after: what is subtracted decays, too.
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define PHILOX_COMPACT
#include "optim/adamw.h"

#define JOB AdamWJob
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
    U32x4 moment1 = p.jobs.job[j].moment1.quads;
    U32 moment1_words = p.jobs.job[j].moment1.words;
    U32x4 moment2 = p.jobs.job[j].moment2.quads;
    U32 moment2_words = p.jobs.job[j].moment2.words;
    uint parameter = p.jobs.job[j].moment1.parameter;
    AdamWHyperRef hyper = p.jobs.job[j].hyper;
    AdamWHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float decay = clamp_finite(lr * parameter_decay(j, h.weight_decay));

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid);
        vec4 w = load_weight(i, valid);
        vec4 m = load_moment(moment1, i, valid);
        vec4 v = load_moment(moment2, i, valid);

        // Not mix(): a driver may compute it as x + a (y - x), which cancels when a is near 1.
        m = m + h.rate1 * (g - m);
        v = v + h.rate2 * (g * g - v);
        uvec4 draws = moment_draws(parameter, i);
        store_moment(moment1, moment1_words, i, valid, m, draws);
        store_moment(moment2, moment2_words, i, valid, v, draws >> 16);

        vec4 x = v;
        if ((FLAGS & ADAMW_AMSGRAD) != 0u) {
            F32x4 moment2_max = p.jobs.job[j].moment2_max;
            x = max(load_state(moment2_max, i, valid), v);
            store_state(moment2_max, i, valid, x);
        }
        vec4 denominator = safe_sqrt(x * h.denominator_scale) + h.eps;
        vec4 numerator = lr * (m * h.moment_scale);
        bvec4 defined = greaterThan(denominator, vec4(0.0));
        vec4 update = mix(vec4(0.0), numerator / mix(vec4(1.0), denominator, defined), defined);

        vec4 kept = vec4(1.0 - decay);
        if ((flags & ADAMW_CAUTIOUS) != 0u)
            kept = mix(vec4(1.0), kept, same_direction(m, w));
        update_weight(i, valid, kept * w, (flags & ADAMW_DECAY_AFTER) != 0u ? kept * clamp_finite(update, DTYPE_F32) : update);
    }
}
