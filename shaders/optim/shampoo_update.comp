// SPDX-License-Identifier: MIT
// The update of Shampoo's weights, all parameters in one dispatch; D is the direction, or what is grafted before the
// step in which preconditioning starts:
//
//   W <- W - lr wd W - lr D
//   with momentum: P = D + wd W;  B <- mu B + r P;  W <- W - lr B, or W - lr (r P + mu B) (Nesterov), r = 1 - dampening
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/shampoo.h"

#define JOB ShampooUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"
#include "optim/moment.glsl"

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
    F32x4 direction = p.jobs.job[j].direction;
    U32x4 kept = p.jobs.job[j].velocity.quads;
    U32 kept_words = p.jobs.job[j].velocity.words;
    uint parameter = p.jobs.job[j].velocity.parameter;
    bool grafts = (flags & SHAMPOO_GRAFTS) != 0u && p.control.c.step < p.jobs.job[j].start;
    F32x4 grafted = p.jobs.job[j].grafted;
    float momentum = p.jobs.job[j].momentum;
    float rate = p.jobs.job[j].rate;
    ShampooHyperRef hyper = p.jobs.job[j].hyper;
    ShampooHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float weight_decay = (flags & SHAMPOO_L2) != 0u ? 0.0 : parameter_decay(j, h.weight_decay);
    float decay = clamp_finite(lr * weight_decay);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 w = load_weight(i, valid);
        vec4 d;
        if (grafts)
            d = load_state(grafted, i, valid);
        else
            d = load_state(direction, i, valid);
        d = clamp_finite(d, DTYPE_F32);
        vec4 decayed = (1.0 - decay) * w;
        if ((flags & SHAMPOO_MOMENTUM) != 0u) {
            vec4 pull = rate * clamp_finite(d + clamp_finite(weight_decay * w, DTYPE_F32), DTYPE_F32);
            vec4 b = clamp_finite(momentum * load_moment(kept, i, valid) + pull, DTYPE_F32);
            store_moment(kept, kept_words, i, valid, b, moment_draws(parameter, i));
            decayed = w;
            d = (flags & SHAMPOO_NESTEROV) != 0u ? clamp_finite(pull + momentum * b, DTYPE_F32) : b;
        }
        update_weight(i, valid, decayed, lr * d);
    }
}
