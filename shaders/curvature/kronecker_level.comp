// SPDX-License-Identifier: MIT
// Damping of a Kronecker product by its eigenvalues, one of each factor's times one of the other's: times its scale,
// and as it is, times their sum (DAMPING_TRACE), or times their mean (DAMPING_MEAN; zero: as it is). One workgroup a
// product, all of them in one dispatch.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerLevelJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint scale = p.jobs.job[j].scale;
    F32 row_values = p.jobs.job[j].row_values;
    F32 column_values = p.jobs.job[j].column_values;
    vec3 sums = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < rows; k += gl_WorkGroupSize.x)
        sums.x += row_values.v[k];
    for (uint k = gl_LocalInvocationID.x; k < cols; k += gl_WorkGroupSize.x)
        sums.y += column_values.v[k];
    sums = workgroup_sum(sums);
    if (gl_LocalInvocationID.x != 0u)
        return;
    F32 damping_address = p.jobs.job[j].damping;
    float damping = damping_address.v[0] * p.jobs.job[j].damping_scale;
    if (scale == DAMPING_MEAN)
        sums *= vec3(1.0 / float(rows), 1.0 / float(cols), 0.0);
    float product = sums.x * sums.y;
    float result = scale == DAMPING_ABSOLUTE || !(product > 1e-30) ? damping : damping * product;
    F32 level = p.jobs.job[j].level;
    level.v[0] = clamp_finite(max(result, 1.17549435e-38));
}
