// SPDX-License-Identifier: MIT
// W = the symmetric matrix that one triangle of A stands for, in f32, and its diagonal. One invocation per element, in
// rows of workgroups.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/cholesky.h"
#define JOB CholeskyStartJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 a = p.jobs.job[j].a;
    F32 w = p.jobs.job[j].w;
    F32 diagonal = p.jobs.job[j].diagonal;
    uint n = p.jobs.job[j].n;
    uint groups = p.jobs.job[j].groups;
    bool upper = (p.jobs.job[j].flags & CHOLESKY_UPPER) != 0;
    uint item = group / groups;
    uint a_stride = p.jobs.job[j].a_stride;
    uint a_base = item * p.jobs.job[j].a_item;
    uint first = (group - item * groups) * gl_WorkGroupSize.x * PER_THREAD + gl_LocalInvocationID.x;
    for (uint q = 0; q < PER_THREAD; ++q) {
        uint e = first + q * gl_WorkGroupSize.x;
        if (e >= n * n)
            return;
        uint row = e / n;
        uint col = e - row * n;
        bool stored = upper ? col >= row : col <= row;
        float x = load(a, a_base + (stored ? row * a_stride + col : col * a_stride + row), DTYPE_A);
        w.v[item * n * n + e] = x;
        if (row == col)
            diagonal.v[item * n + row] = x;
    }
}
