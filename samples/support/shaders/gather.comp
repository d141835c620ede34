// SPDX-License-Identifier: MIT
// Fetches the images of a batch from the 8-bit data set: rows = scale * pixel + shift.
//
// One invocation a pixel; a workgroup stays within one image. Bytes are taken out of words, so no 8-bit storage is needed.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB GatherJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint local_group = group - p.jobs.job[j].first_group;
    uint row = local_group / p.jobs.job[j].groups_per_row;
    uint column = (local_group - row * p.jobs.job[j].groups_per_row) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint pixels = p.jobs.job[j].pixels;
    if (column >= pixels)
        return;

    Words images = p.jobs.job[j].images;
    Words row_index = p.jobs.job[j].row_index;
    F32 rows = p.jobs.job[j].rows;
    uint at = row_index.v[row] * pixels + column;
    uint pixel = (images.v[at >> 2] >> (8 * (at & 3))) & 0xff;
    rows.v[row * pixels + column] = p.jobs.job[j].scale * float(pixel) + p.jobs.job[j].shift;
}
