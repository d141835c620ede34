// SPDX-License-Identifier: MIT
// Fourth moments, from which first factors get their scale: of each parameter (mean y^4)^(1/4), and the sum of the
// squares of its probe v. Two passes, all parameters in one dispatch each: workgroups with rounds x workgroup size
// quads, whose fourth powers are in units of their largest element; then one workgroup a parameter.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdMomentsJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"

shared float largest_scratch[gl_WorkGroupSize.x];

float workgroup_max(float x) {
    uint t = gl_LocalInvocationID.x;
    largest_scratch[t] = x;
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            largest_scratch[t] = max(largest_scratch[t], largest_scratch[t + half_size]);
        barrier();
    }
    float result = largest_scratch[0];
    barrier();
    return result;
}

float square(float x) { return x * x; }

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint flags = p.jobs.job[j].flags;
    F32 partials = p.jobs.job[j].partials;
    uint t = gl_LocalInvocationID.x;
    if ((flags & PSGD_COMBINE) != 0u) {
        uint partial_count = p.jobs.job[j].partial_count;
        float largest = 0.0;
        for (uint k = t; k < partial_count; k += gl_WorkGroupSize.x)
            largest = max(largest, partials.v[3u * k]);
        largest = workgroup_max(largest);
        vec3 sums = vec3(0.0);
        for (uint k = t; k < partial_count; k += gl_WorkGroupSize.x) {
            float ratio = largest > 0.0 ? partials.v[3u * k] / largest : 0.0;
            sums += vec3(partials.v[3u * k + 1u] * square(square(ratio)), partials.v[3u * k + 2u], 0.0);
        }
        sums = workgroup_sum(sums);
        F32 result = p.jobs.job[j].result;
        if (t == 0u) {
            float mean = sums.x / p.jobs.job[j].elements;
            result.v[0] = mean > 0.0 ? largest * sqrt(sqrt(mean)) : 0.0;
            result.v[1] = sums.y;
        }
        return;
    }
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_gradient(j);
    F32 probe = p.jobs.job[j].v;
    float largest = 0.0;
    vec3 sums = vec3(0.0);
    for (uint pass = 0u; pass < 2u; ++pass) {
        for (uint r = 0u; r < rounds; ++r) {
            uint q = quad_at(begin, r);
            if (q >= quads)
                break;
            uint i = 4u * q;
            uint valid = min(4u, count - i);
            vec4 y;
            if ((flags & PSGD_RAW) != 0u)
                y = load_raw_gradient(i, valid);
            else
                y = load_gradient(i, valid);
            y = clamp_finite(y, DTYPE_F32);
            if (pass == 0u) {
                vec4 size = abs(y);
                largest = max(largest, max(max(size.x, size.y), max(size.z, size.w)));
            } else if (largest > 0.0) {
                vec4 ratio = y / largest;
                ratio *= ratio;
                sums.x += dot(ratio, ratio);
            }
            if (pass == 1u && (flags & PSGD_PROBE) != 0u) {
                for (uint k = 0u; k < valid; ++k)
                    sums.y += square(probe.v[i + k]);
            }
        }
        if (pass == 0u)
            largest = workgroup_max(largest);
    }
    sums = workgroup_sum(sums);
    if (t == 0u) {
        uint w = 3u * (group - p.jobs.job[j].first_group);
        partials.v[w] = largest;
        partials.v[w + 1u] = sums.x;
        partials.v[w + 2u] = sums.y;
    }
}
