// SPDX-License-Identifier: MIT
// Adds a bias to every row, and applies ReLU where the job asks for it.
//
//   values[r, c] = f(values[r, c] + bias[c])
//
// One invocation a column and 16 rows. A NaN stays one.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB BiasJob
#include "core/kernel.glsl"

const uint ROWS = 16; // as kBiasRows in layers.cpp

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint local_group = group - p.jobs.job[j].first_group;
    uint row_block = local_group / p.jobs.job[j].column_groups;
    uint column = (local_group - row_block * p.jobs.job[j].column_groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint cols = p.jobs.job[j].cols;
    if (column >= cols)
        return;

    F32 bias = p.jobs.job[j].bias;
    F32 values = p.jobs.job[j].values;
    float b = bias.v[column];
    bool relu = p.jobs.job[j].relu != 0;
    uint end = min(p.jobs.job[j].rows, (row_block + 1) * ROWS);
    for (uint row = row_block * ROWS; row < end; ++row) {
        float x = values.v[row * cols + column] + b;
        values.v[row * cols + column] = relu && x < 0.0 ? 0.0 : x;
    }
}
