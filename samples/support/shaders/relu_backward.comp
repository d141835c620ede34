// SPDX-License-Identifier: MIT
// Backward pass of ReLU: gradient = activation > 0 ? gradient : 0, in place. A workgroup has 16 elements an invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB ReluBackwardJob
#include "core/kernel.glsl"

const uint ELEMENTS = 16; // as kReluElements in layers.cpp

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    F32 activation = p.jobs.job[j].activation;
    F32 gradient = p.jobs.job[j].gradient;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x * ELEMENTS + gl_LocalInvocationID.x;
    for (uint e = 0; e < ELEMENTS && i < count; ++e, i += gl_WorkGroupSize.x)
        if (activation.v[i] <= 0.0)
            gradient.v[i] = 0.0;
}
