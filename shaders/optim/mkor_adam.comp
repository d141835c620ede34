// SPDX-License-Identifier: MIT
// Adam's step as torch.optim.Adam's, with a direction D of [W, b] (over LAYER_UNIT) in place of the gradient; all
// parameters in one dispatch.
//
//   d <- D + wd w;   m <- m + r1 (d - m);   v <- v + r2 (d^2 - v);   w <- w - lr (m s) / (sqrt(v c) + eps)
//
// r = 1 - beta; s and c are the bias corrections. A quotient 0 / 0 counts as 0. One workgroup takes rounds x workgroup
// size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mkor.h"

#define JOB MkorAdamJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"
#include "optim/layer_direction.glsl"

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
    F32x4 moment1 = p.jobs.job[j].moment1;
    F32x4 moment2 = p.jobs.job[j].moment2;
    MkorHyperRef hyper = p.jobs.job[j].hyper;
    MkorHyper h = hyper.h;
    float lr = parameter_lr(j, h.layer.lr);
    float decay = p.control.c.step > p.jobs.job[j].decay_from ? parameter_decay(j, h.layer.weight_decay) : 0.0;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 w = load_weight(i, valid);
        vec4 d = clamp_finite(load_direction(j, i, valid) * LAYER_UNIT, DTYPE_F32) + decay * w;
        d = clamp(d, -LARGEST_GRADIENT, LARGEST_GRADIENT);
        vec4 m = load_state(moment1, i, valid);
        vec4 v = load_state(moment2, i, valid);
        m = m + h.rate1 * (d - m);
        v = v + h.rate2 * (d * d - v);
        store_state(moment1, i, valid, m);
        store_state(moment2, i, valid, v);
        vec4 denominator = safe_sqrt(v * h.denominator_scale) + h.eps;
        vec4 numerator = lr * (m * h.moment_scale);
        bvec4 defined = greaterThan(denominator, vec4(0.0));
        update_weight(i, valid, w, mix(vec4(0.0), numerator / mix(vec4(1.0), denominator, defined), defined));
    }
}
