// SPDX-License-Identifier: MIT
// Scalar products of the columns of two matrices (SpectrumColumnsJob), one invocation a column, in runs of 64 rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/spectrum.h"
#define JOB SpectrumColumnsJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 x = p.jobs.job[j].x;
    F32 y = p.jobs.job[j].y;
    F32 d = p.jobs.job[j].d;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint stride = p.jobs.job[j].stride;
    uint chunks = p.jobs.job[j].chunks;
    uint item = group / chunks;
    uint col = (group - item * chunks) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (col >= cols)
        return;
    uint at = item * p.jobs.job[j].item + col;
    float total = 0.0;
    for (uint r0 = 0u; r0 < rows; r0 += 64u) {
        float sum = 0.0;
        for (uint r = r0; r < min(r0 + 64u, rows); ++r) {
            uint from = at + min(r, rows - 1u) * stride;
            sum += x.v[from] * y.v[from];
        }
        total += sum;
    }
    d.v[item * cols + col] = total;
}
