// SPDX-License-Identifier: MIT
// Sums of the columns of a matrix: the gradient of a bias.
//
// A workgroup takes 16 columns. Its invocations form 8 slices of rows, whose sums are added as a fixed tree.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB ColumnSumJob
#include "core/kernel.glsl"

const uint COLUMNS = 16; // as kSumColumns in layers.cpp
const uint SLICES = 8;   // COLUMNS * SLICES invocations
shared float partial[SLICES * COLUMNS];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 values = p.jobs.job[j].values;
    F32 sums = p.jobs.job[j].sums;
    uint cols = p.jobs.job[j].cols;
    uint lane = gl_LocalInvocationID.x;
    uint slice = lane / COLUMNS;
    uint column = (group - p.jobs.job[j].first_group) * COLUMNS + lane % COLUMNS;

    float sum = 0.0;
    if (column < cols)
        for (uint row = slice; row < p.jobs.job[j].rows; row += SLICES)
            sum += values.v[row * cols + column];
    partial[lane] = sum;
    for (uint half_count = SLICES / 2; half_count > 0; half_count /= 2) {
        barrier();
        if (slice < half_count)
            partial[lane] += partial[lane + half_count * COLUMNS];
    }
    if (slice == 0 && column < cols)
        sums.v[column] = partial[lane];
}
