// SPDX-License-Identifier: MIT
// Backward pass of ReLU: gradient = activation > 0 ? gradient : 0, in place. One invocation an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB ReluBackwardJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    F32 activation = p.jobs.job[j].activation;
    F32 gradient = p.jobs.job[j].gradient;
    if (activation.v[i] <= 0.0)
        gradient.v[i] = 0.0;
}
