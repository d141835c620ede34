// SPDX-License-Identifier: MIT
// Bases of singular vectors from decompositions that know them up to their signs, all matrices in one dispatch:
//
//   basis_j = found_j or -found_j, what lies on the side of old_j;  old_j where the matrix was zero (no singular value
//   above 0)
//
// One workgroup a vector.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/low_rank.h"

#define JOB LowRankBasisJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 found = p.jobs.job[j].found;
    F32 values = p.jobs.job[j].values;
    F32 old = p.jobs.job[j].old;
    F32 basis = p.jobs.job[j].basis;
    uint rows = p.jobs.job[j].rows;
    uint found_cols = p.jobs.job[j].found_cols;
    uint rank = p.jobs.job[j].rank;
    uint vector = group - p.jobs.job[j].first_group;
    uint item = vector / rank;
    uint from = item * rows * found_cols + vector % rank;
    uint to = item * rows * rank + vector % rank;

    float product = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < rows; i += gl_WorkGroupSize.x)
        product += found.v[from + i * found_cols] * old.v[to + i * rank];
    float side = workgroup_sum(vec3(product, 0.0, 0.0)).x < 0.0 ? -1.0 : 1.0;
    bool zero = !(values.v[item * p.jobs.job[j].value_count] > 0.0);
    for (uint i = gl_LocalInvocationID.x; i < rows; i += gl_WorkGroupSize.x)
        basis.v[to + i * rank] = zero ? old.v[to + i * rank] : side * found.v[from + i * found_cols];
}
