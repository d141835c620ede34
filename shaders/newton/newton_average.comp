// SPDX-License-Identifier: MIT
// The average of directions, corrected for its start; and before it, by a job without elements, the sum of its weights.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "newton/newton.h"

#define JOB NewtonAverageJob
#include "core/kernel.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1; // elements

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 average = p.jobs.job[j].average;
    F32 direction = p.jobs.job[j].direction;
    F32 weight = p.jobs.job[j].weight;
    uint count = p.jobs.job[j].count;
    float momentum = p.jobs.job[j].momentum;
    if (count == 0u) {
        if (gl_LocalInvocationID.x == 0u)
            weight.v[0] = momentum * weight.v[0] + (1.0 - momentum);
        return;
    }
    for (uint e = 0; e < PER_THREAD; ++e) {
        uint i = (group * PER_THREAD + e) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (i >= count)
            return;
        float mixed = momentum * average.v[i] + (1.0 - momentum) * direction.v[i];
        average.v[i] = mixed;
        direction.v[i] = mixed / weight.v[0];
    }
}
