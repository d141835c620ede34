// SPDX-License-Identifier: MIT
// A diagonal plus low rank as the identity plus low rank: W = U^T D^(-1/2), t = D^(-1/2) b. An invocation does a row of
// U.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyScaleJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of U
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32; // of b

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 diagonal = p.jobs.job[j].diagonal;
    U32 u = p.jobs.job[j].u;
    U32 b = p.jobs.job[j].b;
    F32 w = p.jobs.job[j].w;
    F32 t = p.jobs.job[j].t;
    uint d = p.jobs.job[j].d;
    uint s = p.jobs.job[j].s;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    uint i = (group - item * groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= d)
        return;
    float value = diagonal.v[item * d + i];
    // A diagonal that is not positive shows as NaN in all of the results.
    float root = value > 0.0 ? inversesqrt(value) : uintBitsToFloat(0x7fc00000u);
    root = value > 0.0 ? root * (1.5 - 0.5 * (value * root) * root) : root;
    uint from = item * p.jobs.job[j].u_item + i * p.jobs.job[j].u_stride;
    for (uint k = 0; k < s; ++k)
        w.v[(item * s + min(k, s - 1)) * d + i] = load(u, from + min(k, s - 1), DTYPE_A) * root;
    t.v[item * d + i] = load(b, item * d + i, DTYPE_B) * root;
}
