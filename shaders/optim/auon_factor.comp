// SPDX-License-Identifier: MIT
// What AuON multiplies a block by: 1 / sqrt(mean(cosh(c)^2)), from the sums of auon_brake.comp, or that divided by the
// block's norm. One workgroup a block.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/auon.h"

#define JOB AuonFactorJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 partials = p.jobs.job[j].partials;
    uint partial_count = p.jobs.job[j].partial_count;
    float sum = 0.0;
    for (uint k = gl_LocalInvocationID.x; k < partial_count; k += gl_WorkGroupSize.x)
        sum += partials.v[k];
    sum = workgroup_sum(vec3(sum, 0.0, 0.0)).x;
    if (gl_LocalInvocationID.x != 0u)
        return;
    float factor = 1.0 / sqrt(1.0 + sum * p.jobs.job[j].mean);
    if ((p.jobs.job[j].flags & AUON_UNIT) != 0u) {
        F32 norm = p.jobs.job[j].norm;
        float n = norm.v[0];
        factor = n >= 1.17549435e-38 ? factor / n : 0.0;
    }
    F32 result = p.jobs.job[j].factor;
    result.v[0] = factor;
}
