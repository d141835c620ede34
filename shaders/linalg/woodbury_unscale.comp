// SPDX-License-Identifier: MIT
// x <- D^(-1/2) x, the end of a solve with a diagonal plus low rank. One invocation an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyUnscaleJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 diagonal = p.jobs.job[j].diagonal;
    F32 x = p.jobs.job[j].x;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    float value = diagonal.v[i];
    float root = value > 0.0 ? inversesqrt(value) : 0.0;
    root = value > 0.0 ? root * (1.5 - 0.5 * (value * root) * root) : root;
    x.v[i] = x.v[i] * root;
}
