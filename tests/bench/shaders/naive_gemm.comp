// SPDX-License-Identifier: MIT
// D = A B as one writes it first, without tiles or shared memory: what the library's kernels are compared with.
//
// Grid: one invocation per element of D, neighbours in a row side by side.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "naive_gemm.h"
#define JOB NaiveGemmJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint n = p.jobs.job[j].n;
    uint k = p.jobs.job[j].k;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].m * n)
        return;
    F32 a = p.jobs.job[j].a;
    F32 b = p.jobs.job[j].b;
    uint row = i / n;
    uint col = i % n;
    float sum = 0.0;
    for (uint l = 0; l < k; ++l)
        sum += a.v[row * k + l] * b.v[l * n + col];
    p.jobs.job[j].d.v[i] = sum;
}
