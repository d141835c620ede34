// SPDX-License-Identifier: MIT
// Single elements of inverse Fisher matrices (linalg/fisher.h). An invocation an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/fisher.h"

#define JOB FisherElementsJob
#include "core/kernel.glsl"
#include "linalg/fisher.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 y = p.jobs.job[j].y;
    U32 pairs = p.jobs.job[j].pairs;
    F32 result = p.jobs.job[j].result;
    uint count = p.jobs.job[j].count;
    uint d = p.jobs.job[j].d;
    uint rows = p.jobs.job[j].rows;
    uint block = p.jobs.job[j].block;
    float damping = p.jobs.job[j].damping;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= count)
        return;
    uint row = pairs.v[2 * i];
    uint col = pairs.v[2 * i + 1];
    bool same_block = row < d && col < d && row / block == col / block;
    FisherColumn a = fisher_column(min(row, d - 1), d, rows, block);
    FisherColumn b = fisher_column(min(col, d - 1), d, rows, block);
    float sum = 0.0;
    float part = 0.0; // closed every 64 rows
    for (uint k = 0; k < rows; ++k) {
        uint at = min(k, rows - 1);
        part += y.v[a.first + at * a.width] * y.v[b.first + at * b.width];
        if ((k & 63u) == 63u) {
            sum += part;
            part = 0.0;
        }
    }
    float share = (row == col ? 1.0 : 0.0) - (sum + part) / float(rows);
    result.v[i] = same_block ? share / damping : 0.0;
}
