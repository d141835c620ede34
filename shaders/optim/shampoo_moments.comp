// SPDX-License-Identifier: MIT
// What Shampoo preconditions, and what it grafts; all parameters in one dispatch:
//
//   G <- G + wd W (SHAMPOO_L2)
//   filtered = s (m + (1 - beta3)(G - m)), m before the step;   m <- m + (1 - beta1)(G - m)   (SHAMPOO_FILTERS)
//   filtered = G                                                                              (without it)
//   v <- v + (1 - beta)(G^2 - v), or v + G^2;   grafted = filtered / (sqrt(d v) + eps)        (SHAMPOO_SQUARES)
//
// s = 1 / (1 - beta3 beta1^(t-1)) corrects the bias, d is the graft's. With SHAMPOO_WAITS m and v stay as they are in
// the first step. A quotient with a zero below counts as 0. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define PHILOX_COMPACT
#include "optim/shampoo.h"

#define JOB ShampooMomentsJob
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
    U32x4 moment = p.jobs.job[j].moment.quads;
    U32 moment_words = p.jobs.job[j].moment.words;
    U32x4 square = p.jobs.job[j].square.quads;
    U32 square_words = p.jobs.job[j].square.words;
    uint parameter = p.jobs.job[j].moment.parameter;
    F32x4 scaled = p.jobs.job[j].scaled;
    F32x4 filtered = p.jobs.job[j].filtered;
    F32x4 grafted = p.jobs.job[j].grafted;
    float rate1 = p.jobs.job[j].rate1;
    float rate3 = p.jobs.job[j].rate3;
    float square_rate = p.jobs.job[j].square_rate;
    float graft_eps = p.jobs.job[j].graft_eps;
    ShampooHyperRef hyper = p.jobs.job[j].hyper;
    ShampooHyper h = hyper.h;
    float decay = parameter_decay(j, h.weight_decay);
    bool waits = (flags & SHAMPOO_WAITS) != 0u && p.control.c.step == 1u;
    // 1 - beta3 beta1^(t-1) = rest + share (1 - beta1^t)
    float correction = h.moment_scale == 1.0 ? 1.0 : 1.0 / (p.jobs.job[j].rest + p.jobs.job[j].share / h.moment_scale);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid);
        if ((flags & SHAMPOO_L2) != 0u)
            g = limit_gradient(g + clamp_finite(decay * load_weight(i, valid), DTYPE_F32));
        store_state(scaled, i, valid, g * (1.0 / SHAMPOO_STATISTIC_UNIT));
        vec4 f = g;
        uvec4 draws = moment_draws(parameter, i);
        if ((flags & SHAMPOO_FILTERS) != 0u) {
            vec4 m = load_moment(moment, i, valid);
            f = correction * (m + rate3 * (g - m));
            if (!waits)
                store_moment(moment, moment_words, i, valid, m + rate1 * (g - m), draws);
        }
        store_state(filtered, i, valid, f);
        if ((flags & SHAMPOO_SQUARES) != 0u) {
            vec4 v = load_moment(square, i, valid);
            v = (flags & SHAMPOO_SUM) != 0u ? clamp_finite(v - square_rate * v + g * g, DTYPE_F32)
                                            : v + square_rate * (g * g - v);
            if (!waits)
                store_moment(square, square_words, i, valid, v, draws >> 16);
            vec4 divisor = safe_sqrt(v * h.graft_scale) + graft_eps;
            bvec4 defined = greaterThan(divisor, vec4(0.0));
            vec4 u = mix(vec4(0.0), f / mix(vec4(1.0), divisor, defined), defined);
            store_state(grafted, i, valid, clamp_finite(u, DTYPE_F32));
        }
    }
}
