// SPDX-License-Identifier: MIT
// The running average of Kronecker factors, all of them in one dispatch:
//
//   F <- a F + r unit^2 S,   a, r = decay, 1 - decay;   KRONECKER_WARM: a <= 1 - 1/k in the k-th statistic
//
// Of a semidefinite S the trace tells whether any element may have left the range: such a statistic (or one with a NaN
// on its diagonal) is left out and counted. Every workgroup adds up the trace by itself, in the same order, and takes
// rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerBlendJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "curvature/elements.glsl"

const float LARGEST_TRACE = 1.2676506e30; // 2^100: norms, and what roots do with them, stay in range

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    uint rounds = p.jobs.job[j].rounds;
    uint count = order * order;
    uint flags = p.jobs.job[j].flags;
    F32 average = p.jobs.job[j].average;
    F32 statistic = p.jobs.job[j].statistic;
    F32 unit_address = p.jobs.job[j].unit;
    F32 rates = p.jobs.job[j].rates;
    float unit = (flags & KRONECKER_HAS_UNIT) != 0u ? unit_address.v[0] : 1.0;

    vec3 sums = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < order; k += gl_WorkGroupSize.x) {
        precise float scaled = (statistic.v[k * (order + 1u)] * unit) * unit;
        sums.x += scaled;
    }
    float trace = workgroup_sum(sums).x;
    if (is_nonfinite(trace) || trace > LARGEST_TRACE) {
        if (group == p.jobs.job[j].first_group && gl_LocalInvocationID.x == 0u) {
            U32 left_out = p.jobs.job[j].left_out;
            uint before = left_out.v[0];
            left_out.v[0] = before + uint(before != 0xffffffffu);
        }
        return;
    }

    float decay = rates.v[0];
    float rate = rates.v[1];
    if ((flags & KRONECKER_WARM) != 0u) {
        float share = 1.0 / float((max(p.control.c.step, 1u) - 1u) / p.jobs.job[j].interval + 1u);
        if (share > rate) {
            rate = share;
            decay = 1.0 - share;
        }
    }
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        uint lanes = lanes_at(j, group, r);
        precise float s = (load_element(statistic, i, lanes, count) * unit) * unit;
        precise float f = decay * load_element(average, i, lanes, count) + rate * s;
        average.v[i] = f;
    }
}
