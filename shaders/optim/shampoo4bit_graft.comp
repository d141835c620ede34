// SPDX-License-Identifier: MIT
// The update of 4-bit Shampoo's weights, all parameters in one dispatch. P is the direction D with the size of the
// gradient, P = D |G| / (|D| + 1e-12), or before `start` the gradient:
//
//   SGD:    P <- P + wd W;  B <- mu B + P;  W <- W - lr B, or W - lr (P + mu B) (Nesterov), or W - lr P
//   AdamW:  m <- m + r1 (P - m);  v <- v + r2 (P^2 - v);  W <- (1 - lr wd) W - lr (m s) / (sqrt(v d) + eps)
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define PHILOX_COMPACT
#include "optim/shampoo4bit.h"

#define JOB Shampoo4BitUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/moment.glsl"
#include "optim/weight.glsl"

// Squares, and the momentum's sum, stay in range.
vec4 limited(vec4 g) { return clamp(g, -LARGEST_GRADIENT, LARGEST_GRADIENT); }

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
    bool raw = p.control.c.step < p.jobs.job[j].start;
    F32x4 gradient = p.jobs.job[j].gradient;
    F32x4 direction = p.jobs.job[j].direction;
    U32x4 moment1 = p.jobs.job[j].moment1.quads;
    U32 moment1_words = p.jobs.job[j].moment1.words;
    uint parameter = p.jobs.job[j].moment1.parameter;
    F32 units = p.jobs.job[j].unit;
    F32 gradient_norms = p.jobs.job[j].gradient_norm;
    F32 direction_norms = p.jobs.job[j].direction_norm;
    Shampoo4BitHyperRef hyper = p.jobs.job[j].hyper;
    Shampoo4BitHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float weight_decay = parameter_decay(j, h.weight_decay);
    float decay = clamp_finite(lr * weight_decay);

    // Elements of D / |D| are at most 1, whatever the sizes.
    float unit = units.v[0];
    float norm = direction_norms.v[0];
    float size = clamp_finite(norm * unit);
    float wanted = clamp_finite(gradient_norms.v[0] * unit) * (size / (size + 1e-12));
    bool defined = norm > 0.0;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 w = load_weight(i, valid);
        vec4 g;
        if (raw) {
            g = load_state(gradient, i, valid) * unit;
        } else {
            vec4 d = load_state(direction, i, valid);
            g = mix(vec4(0.0), d / (defined ? norm : 1.0), bvec4(defined)) * wanted;
        }
        g = limited(clamp_finite(g, DTYPE_F32));
        vec4 kept = w;
        vec4 update;
        // With a momentum there is no AdamW: a kernel of its own, whose code is shorter.
        if ((FLAGS & SGD_MOMENTUM) == 0u && (flags & SHAMPOO4BIT_ADAMW) != 0u) {
            U32x4 moment2 = p.jobs.job[j].moment2.quads;
            U32 moment2_words = p.jobs.job[j].moment2.words;
            vec4 m = load_moment(moment1, i, valid);
            vec4 v = load_moment(moment2, i, valid);
            m = m + h.rate1 * (g - m);
            v = v + h.rate2 * (g * g - v);
            uvec4 draws = moment_draws(parameter, i);
            store_moment(moment1, moment1_words, i, valid, m, draws);
            store_moment(moment2, moment2_words, i, valid, v, draws >> 16);
            vec4 denominator = safe_sqrt(v * h.denominator_scale) + h.eps;
            bvec4 positive = greaterThan(denominator, vec4(0.0));
            vec4 numerator = lr * (m * h.moment_scale);
            update = mix(vec4(0.0), numerator / mix(vec4(1.0), denominator, positive), positive);
            kept = (1.0 - decay) * w;
        } else {
            g = limited(g + clamp_finite(weight_decay * w, DTYPE_F32));
            update = g;
            if ((FLAGS & SGD_MOMENTUM) != 0u) {
                vec4 m = h.momentum * load_moment(moment1, i, valid) + g;
                store_moment(moment1, moment1_words, i, valid, m, moment_draws(parameter, i));
                update = (flags & SHAMPOO4BIT_NESTEROV) != 0u ? g + h.momentum * m : m;
            }
            update *= lr;
        }
        update_weight(i, valid, kept, update);
    }
}
