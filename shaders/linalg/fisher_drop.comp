// SPDX-License-Identifier: MIT
// Weights that are pruned (linalg/fisher.h). An invocation an index.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/fisher.h"

#define JOB FisherDropJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 indices = p.jobs.job[j].indices;
    U32 kept = p.jobs.job[j].kept;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i < p.jobs.job[j].count)
        kept.v[indices.v[i]] = 0u;
}
