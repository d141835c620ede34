// SPDX-License-Identifier: MIT
// y <- a x + b + y / 2: not commutative, so that an operation that is lost, repeated or out of order shows in the result.
//
// Grid: one invocation per element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "affine.h"
#define JOB AffineJob
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
    F32 y = p.jobs.job[j].y;
    y.v[i] = p.jobs.job[j].a * x.v[i] + p.jobs.job[j].b + 0.5 * y.v[i];
}
