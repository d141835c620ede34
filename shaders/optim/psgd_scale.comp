// SPDX-License-Identifier: MIT
// Products with diagonal factors along an axis of a tensor, all of them in one dispatch: to = x q, x q^2 or x / q. A
// workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdScaleJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    uint extent = p.jobs.job[j].extent;
    uint inner = p.jobs.job[j].inner;
    uint flags = p.jobs.job[j].flags;
    uint begin = (group - p.jobs.job[j].first_group) * rounds * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    F32 x = p.jobs.job[j].x;
    F32 factors = p.jobs.job[j].q;
    F32 to = p.jobs.job[j].to;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = begin + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        float q = factors.v[i / inner % extent];
        float y = x.v[i];
        if ((flags & PSGD_INVERSE) != 0u)
            y = y / q;
        else
            y = (flags & PSGD_SQUARE) != 0u ? q * (q * y) : q * y;
        to.v[i] = y;
    }
}
