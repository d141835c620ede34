// SPDX-License-Identifier: MIT
// Sums over pieces: to_e = weight sum_p from_(p, e), in the order of the pieces, many jobs in one dispatch. One
// invocation an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/structured.h"

#define JOB StructuredTotalJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    uint pieces = p.jobs.job[j].pieces;
    F32 from = p.jobs.job[j].from;
    F32 to = p.jobs.job[j].to;
    uint e = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (e >= count)
        return;
    float sum = 0.0;
    for (uint piece = 0u; piece < pieces; ++piece)
        sum += from.v[piece * count + e];
    to.v[e] = p.jobs.job[j].weight * sum;
}
