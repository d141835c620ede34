// SPDX-License-Identifier: MIT
// Inner products of Bloop, over one chunk of one tensor, with averages as they will be; these are not stored yet, since
// a gradient that is not finite must not get into them.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "aggregate/bloop.h"

#define JOB BloopSumsJob
#include "aggregate/bloop.glsl"
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of the main gradient
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32; // of the auxiliary one
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 64;

shared float scratch[BLOOP_SUMS * gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint chunk = group - p.jobs.job[j].first_group;
    U32 main_gradient = p.jobs.job[j].main;
    U32 auxiliary = p.jobs.job[j].auxiliary;
    F32 average = p.jobs.job[j].average;
    F32 auxiliary_average = p.jobs.job[j].auxiliary_average;
    U32 started = p.jobs.job[j].started;
    F32 partials = p.jobs.job[j].partials;
    uint count = p.jobs.job[j].count;
    uint flags = p.jobs.job[j].flags;
    float keep = p.jobs.job[j].keep;
    float take = p.jobs.job[j].take;
    bool two = (flags & BLOOP_TWO_AVERAGES) != 0u;
    bool first = (flags & BLOOP_FROM_GRADIENT) != 0u && started.v[0] == 0u;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    float sums[BLOOP_SUMS] = float[](0.0, 0.0, 0.0, 0.0, 0.0);
    uint begin = chunk * threads * PER_THREAD;
    uint end = min(begin + threads * PER_THREAD, count);
    for (uint i = begin + t; i < end; i += threads) {
        uint at = min(i, count - 1u);
        float g = load(main_gradient, at, DTYPE_A);
        float b = load(auxiliary, at, DTYPE_B);
        float e = bloop_average(first ? g : average.v[at], g, keep, take);
        sums[0] += e * b;
        sums[1] += e * e;
        if (two) {
            float f = bloop_average(first ? g : auxiliary_average.v[at], b, keep, take);
            sums[2] += f * g;
            sums[3] += f * f;
        }
        sums[4] += is_nonfinite(g) || is_nonfinite(b) ? 1.0 : 0.0;
    }
    [[unroll]] for (uint s = 0; s < BLOOP_SUMS; ++s)
        scratch[s * threads + t] = sums[s];
    barrier();
    [[dont_unroll]] for (uint half_size = threads / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            [[unroll]] for (uint s = 0; s < BLOOP_SUMS; ++s)
                scratch[s * threads + t] += scratch[s * threads + t + half_size];
        barrier();
    }
    if (t < BLOOP_SUMS)
        partials.v[chunk * BLOOP_SUMS + t] = scratch[t * threads];
}
