// SPDX-License-Identifier: MIT
// Squared ReLU (So et al. 2021): h = max(z, 0)^2; BACKWARD: h <- 2 max(z, 0) h, from the gradient of h to that of z.
//
// One invocation an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "transformer.h"
#define JOB SquaredReluJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    F32 z = p.jobs.job[j].z;
    F32 h = p.jobs.job[j].h;
    float positive = max(z.v[i], 0.0);
#if BACKWARD
    h.v[i] = 2.0 * positive * h.v[i];
#else
    h.v[i] = positive * positive;
#endif
}
