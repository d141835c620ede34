// SPDX-License-Identifier: MIT
// PSGD's momentum, all parameters in one dispatch:
//
//   m <- b m + (1 - b) g,  b = momentum or min(1 - 1/t, momentum);   x = m / (1 - b^t), m or, without momentum, g
//
// and partial sums of |g| or |x|, one a workgroup. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdMomentJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
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
    uint flags = p.jobs.job[j].flags;
    begin_gradient(j);
    U32x4 momentum = p.jobs.job[j].momentum.quads;
    U32 momentum_words = p.jobs.job[j].momentum.words;
    uint parameter = p.jobs.job[j].momentum.parameter;
    F32x4 x = p.jobs.job[j].x;
    PsgdHyperRef hyper = p.jobs.job[j].hyper;
    PsgdHyper h = hyper.h;
    float decay = h.momentum;
    float rate = h.rate;
    if ((flags & PSGD_RAMP) != 0u) {
        float first = 1.0 / float(max(p.control.c.step, 1u));
        if (first > rate) {
            rate = first;
            decay = 1.0 - first;
        }
    }

    float sum = 0.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid);
        vec4 direction = g;
        if ((flags & PSGD_MOMENTUM) != 0u) {
            vec4 m = decay * load_moment(momentum, i, valid) + rate * g;
            store_moment(momentum, momentum_words, i, valid, m, moment_draws(parameter, i));
            direction = clamp_finite(h.correction * m, DTYPE_F32);
        }
        if ((flags & PSGD_DIRECTION) != 0u)
            store_state(x, i, valid, direction);
        vec4 summed = abs((flags & PSGD_SUM_GRADIENT) != 0u ? g : direction);
        sum += (summed.x + summed.y) + (summed.z + summed.w); // components beyond the end are zero
    }
    if ((flags & (PSGD_SUM_GRADIENT | PSGD_SUM_DIRECTION)) == 0u)
        return;
    sum = workgroup_sum(vec3(sum, 0.0, 0.0)).x;
    F32 partials = p.jobs.job[j].partials;
    if (gl_LocalInvocationID.x == 0u)
        partials.v[group - p.jobs.job[j].first_group] = sum;
}
