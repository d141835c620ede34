// SPDX-License-Identifier: MIT
// Partial sums of squares of a batch of matrices, for the norm that polar_normalize.comp divides by.
//
//   partials[item groups_per_item + part] = Blue's accumulators of the part-th range of the item-th matrix
//
// groups_per_item workgroups a matrix, each a contiguous range of its elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/shared.h"
#include "linalg/polar_normalize.h"

#define JOB PolarNormJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint X_DTYPE = 0;

const uint BLOCK = 32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 x = p.jobs.job[j].x;
    F32 partials = p.jobs.job[j].partials;
    uint local_group = group - p.jobs.job[j].first_group;
    uint groups = p.jobs.job[j].groups_per_item;
    uint count = p.jobs.job[j].count;
    uint cols = p.jobs.job[j].cols;
    uint stride = p.jobs.job[j].x_stride;
    uint item = local_group / groups;
    uint base = item * p.jobs.job[j].x_item;

    // Without sums that pass 2^32 where count is near it.
    uint share = count / groups + (count % groups != 0u ? 1u : 0u);
    uint begin = min((local_group - item * groups) * share, count);
    uint length = min(share, count - begin);
    // In blocks: the error of a long sum would reach polynomials whose slope at 1 is 161 (pe-dion).
    vec3 acc = vec3(0.0);
    for (uint first = gl_LocalInvocationID.x; first < length; first += BLOCK * gl_WorkGroupSize.x) {
        vec3 block = vec3(0.0);
        for (uint k = first; k < min(first + BLOCK * gl_WorkGroupSize.x, length); k += gl_WorkGroupSize.x) {
            uint i = begin + k;
            uint row = stride == cols ? 0u : i / cols;
            blue_add(block, load(x, base + row * stride + (i - row * cols), X_DTYPE));
        }
        acc = blue_combine(acc, block);
    }
    acc = workgroup_sum(acc);
    if (gl_LocalInvocationID.x == 0) {
        partials.v[3 * local_group] = acc.x;
        partials.v[3 * local_group + 1] = acc.y;
        partials.v[3 * local_group + 2] = acc.z;
    }
}
