// SPDX-License-Identifier: MIT
// What a preconditioner of PSGD is fitted to, all parameters in one dispatch: y with a little noise z, so that
// directions without any gradient are not whitened beyond bounds:
//
//   h = y + (damping + eps |y|) z,   or   h = y + scale mean|y| z
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdNoiseJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"

const float EPSILON = 1.1920929e-7;

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
    F32x4 source = p.jobs.job[j].y;
    F32x4 noise = p.jobs.job[j].z;
    F32x4 h = p.jobs.job[j].h;
    float damping = p.jobs.job[j].damping;
    float relative = EPSILON;
    if ((flags & PSGD_MEAN) != 0u) {
        F32 partials = p.jobs.job[j].partials;
        uint partial_count = p.jobs.job[j].partial_count;
        float sum = 0.0;
        for (uint k = gl_LocalInvocationID.x; k < partial_count; k += gl_WorkGroupSize.x)
            sum += partials.v[k];
        damping = p.jobs.job[j].scale * (workgroup_sum(vec3(sum, 0.0, 0.0)).x / float(count));
        relative = 0.0;
    }

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 y;
        if ((flags & PSGD_FROM_GRADIENT) != 0u)
            y = load_gradient(i, valid);
        else if ((flags & PSGD_RAW) != 0u)
            y = load_raw_gradient(i, valid);
        else
            y = load_state(source, i, valid);
        store_state(h, i, valid, y + (damping + relative * abs(y)) * load_state(noise, i, valid));
    }
}
