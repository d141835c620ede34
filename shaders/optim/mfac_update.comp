// SPDX-License-Identifier: MIT
// M-FAC's update of the weights, all parameters in one dispatch, u the gradient times the inverse Fisher matrix:
//
//   v <- mu v + (1 - mu) u;  w <- w - lr v, or without momentum w - lr u
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mfac.h"

#define JOB MfacUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
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
    begin_weight(j);
    uint flags = p.jobs.job[j].flags;
    F32x4 direction = p.jobs.job[j].direction;
    F32x4 momentum = p.jobs.job[j].momentum;
    MfacHyperRef hyper = p.jobs.job[j].hyper;
    MfacHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 update = clamp_finite(load_state(direction, i, valid), DTYPE_F32);
        if ((flags & MFAC_MOMENTUM) != 0u) {
            update = h.momentum * load_state(momentum, i, valid) + h.rate * update;
            store_state(momentum, i, valid, update);
        }
        update_weight(i, valid, load_weight(i, valid), lr * update);
    }
}
