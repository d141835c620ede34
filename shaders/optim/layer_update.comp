// SPDX-License-Identifier: MIT
// The step that optimizers of whole layers end with, as torch.optim.SGD's with a direction D of [W, b] in place of the
// gradient; all parameters in one dispatch.
//
//   d = factor LAYER_UNIT D, then d <- d + wd w (coupled);  b <- mu b + rate d;  w <- w - lr (d + mu b | b | d)
//
// rate = 1 - dampening, but 1 in the first step. Decoupled decay: w <- (1 - lr wd) w instead. The first decay_from
// steps have no decay. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/layer.h"

#define JOB LayerUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"
#include "optim/moment.glsl"
#include "optim/layer_direction.glsl"

vec4 keep_numbers(vec4 x) {
    bvec4 numbers = lessThanEqual(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f800000u));
    return mix(vec4(0.0), clamp_finite(x, DTYPE_F32), numbers);
}

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
    LayerHyperRef hyper = p.jobs.job[j].hyper;
    LayerHyper h = hyper.h;
    F32 factor_address = p.jobs.job[j].factor;
    float factor = (flags & LAYER_FACTOR) != 0u ? factor_address.v[0] : 1.0;
    float lr = parameter_lr(j, h.lr);
    float decay = p.control.c.step > p.jobs.job[j].decay_from ? parameter_decay(j, h.weight_decay) : 0.0;
    float kept = clamp_finite(1.0 - lr * decay);
    bool decoupled = (flags & LAYER_DECOUPLED) != 0u;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 w = load_weight(i, valid);
        // As large as a gradient may be; what is no number is no direction.
        precise vec4 wide = (load_direction(j, i, valid) * factor) * LAYER_UNIT;
        vec4 d = keep_numbers(wide);
        if (!decoupled)
            d += decay * w;
        d = clamp(d, -LARGEST_GRADIENT, LARGEST_GRADIENT);
        vec4 update = d;
        if ((FLAGS & SGD_MOMENTUM) != 0u) {
            U32x4 momentum = p.jobs.job[j].momentum.quads;
            U32 momentum_words = p.jobs.job[j].momentum.words;
            vec4 b = h.momentum * load_moment(momentum, i, valid) + h.rate * d;
            store_moment(momentum, momentum_words, i, valid, b, moment_draws(p.jobs.job[j].momentum.parameter, i));
            update = (flags & LAYER_NESTEROV) != 0u ? d + h.momentum * b : b;
        }
        update_weight(i, valid, decoupled ? kept * w : w, lr * update);
    }
}
