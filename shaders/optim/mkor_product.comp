// SPDX-License-Identifier: MIT
// For every row of every inverse factor P, in one pass over it: (P v)_i, and the sum of absolute values. Only in steps
// that renew inverses. One workgroup a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mkor.h"

#define JOB MkorProductJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    MkorHyperRef hyper = p.jobs.job[j].hyper;
    if (!mkor_refreshes(p.control.c.step, p.jobs.job[j].turns, p.jobs.job[j].warmup, hyper.h.second_order))
        return;
    uint row = group - p.jobs.job[j].first_group;
    uint order = p.jobs.job[j].order;
    U32 matrix = p.jobs.job[j].p;
    F32 v = p.jobs.job[j].v;
    vec3 sums = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < order; k += gl_WorkGroupSize.x) {
        float x = load(matrix, row * order + k, DTYPE_A);
        sums += vec3(x * v.v[k], abs(x), 0.0);
    }
    sums = workgroup_sum(sums);
    if (gl_LocalInvocationID.x == 0u) {
        F32 to = p.jobs.job[j].sums;
        to.v[2u * row] = sums.x;
        to.v[2u * row + 1u] = sums.y;
    }
}
