// SPDX-License-Identifier: MIT
// Pi(W) of symmetric matrices W for both Toeplitz structures, many in one dispatch: coefficient e is the mean of
// diagonals e and -e, twice for e > 0. One invocation a coefficient.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/structured.h"

#define JOB StructuredDiagonalsJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    F32 w = p.jobs.job[j].w;
    F32 to = p.jobs.job[j].to;
    uint e = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (e >= order)
        return;
    uint count = order - e;
    float sum = 0.0;
    for (uint r0 = 0u; r0 < count; r0 += 64u) {
        float part = 0.0;
        uint r1 = min(r0 + 64u, count);
        for (uint r = r0; r < r1; ++r)
            part += w.v[r * order + r + e];
        sum += part;
    }
    to.v[e] = (e == 0u ? 1.0 : 2.0) * sum / float(count);
}
