// SPDX-License-Identifier: MIT
// SGD with momentum and exponential random scaling, all tensors of all groups in one dispatch (arXiv 2405.09742).
//
//   d <- beta (d - lr g) / (1 + lr mu);  w <- w + s d       s: one draw a step, from the advance kernel
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/random_scaling_sgd.h"

#define JOB RandomScalingSgdJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
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
    F32x4 momentum = p.jobs.job[j].momentum;
    RandomScalingSgdHyperRef hyper = p.jobs.job[j].hyper;
    RandomScalingSgdHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float divisor = clamp_finite(1.0 + lr * h.mu);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid);
        vec4 w = load_weight(i, valid);
        // Each difference is of finite numbers: no inf - inf.
        vec4 d = clamp_finite(load_state(momentum, i, valid) - clamp_finite(lr * g, DTYPE_F32), DTYPE_F32);
        d = h.beta * d / divisor;
        store_state(momentum, i, valid, d);
        update_weight(i, valid, w, -h.scale * d);
    }
}
