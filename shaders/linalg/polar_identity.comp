// SPDX-License-Identifier: MIT
// Q = Z + a I for a batch of square matrices: the first factor of the Gram form of Newton-Schulz.
//
// One invocation handles two neighbours of a row. 16-bit results have an even row stride: words are written whole.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/shared.h"
#include "linalg/polar_identity.h"

#define JOB PolarIdentityJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE = 0;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint pair = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (pair >= p.jobs.job[j].pairs)
        return;
    U32 x = p.jobs.job[j].x;
    U32 result = p.jobs.job[j].result;
    uint k = p.jobs.job[j].k;
    uint pairs_per_row = (k + 1) / 2;
    uint all_rows = pair / pairs_per_row; // row number over all items
    uint item = all_rows / k;
    uint row = all_rows - item * k;
    uint col = 2 * (pair - all_rows * pairs_per_row);
    uint from = item * p.jobs.job[j].x_item + row * p.jobs.job[j].x_stride + col;
    uint to = item * p.jobs.job[j].result_item + row * p.jobs.job[j].result_stride + col;
    float a = p.jobs.job[j].diagonal;
    float first = load(x, from, DTYPE) + (row == col ? a : 0.0);
    if (col + 1 < k)
        store_pair(result, to, vec2(first, load(x, from + 1, DTYPE) + (row == col + 1 ? a : 0.0)), DTYPE);
    else
        store(result, to, first, DTYPE);
}
