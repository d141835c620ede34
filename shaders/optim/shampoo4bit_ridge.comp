// SPDX-License-Identifier: MIT
// A <- A + epsilon lambda I, all factors in one dispatch. One invocation an element of the diagonal. Clears
// the errors of the iteration that follows, too.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/shampoo4bit.h"

#define JOB Shampoo4BitRidgeJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i < SHAMPOO4BIT_ERRORS && (group == p.jobs.job[j].first_group)) {
        U32 errors = p.jobs.job[j].errors;
        errors.v[i] = 0u;
    }
    if (i >= order)
        return;
    F32 matrix = p.jobs.job[j].matrix;
    F32 value = p.jobs.job[j].value;
    float ridge = p.jobs.job[j].epsilon * max(value.v[0], 0.0);
    matrix.v[i * (order + 1u)] += ridge;
}
