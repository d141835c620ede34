// SPDX-License-Identifier: MIT
// Decay: x <- factor x, all tensors in one dispatch. One invocation per element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "decay.h"

#define JOB DecayJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    F32 x = p.jobs.job[j].x;
    x.v[i] = p.jobs.job[j].factor * x.v[i];
}
