// SPDX-License-Identifier: MIT
// Puts matrices side by side: merged[row, part * width + c] = parts[part, row, c].
//
// One invocation an element of the result.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "transformer.h"
#define JOB MergeHeadsJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    F32 parts = p.jobs.job[j].parts;
    F32 merged = p.jobs.job[j].merged;
    uint width = p.jobs.job[j].width;
    uint cols = p.jobs.job[j].part_count * width;
    uint row = i / cols;
    uint column = i - row * cols;
    uint part = column / width;
    merged.v[i] = parts.v[(part * p.jobs.job[j].rows + row) * width + column - part * width];
}
