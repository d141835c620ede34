// SPDX-License-Identifier: MIT
// The exponent of each row of gradient windows, from the largest elements of its chunks. An invocation does a row. Rows
// of zeros have the smallest exponent; rows that are not finite show in the Gram matrix.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyExponentsJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 partials = p.jobs.job[j].partials;
    U32 exponents = p.jobs.job[j].exponents;
    uint count = p.jobs.job[j].count;
    uint chunks = p.jobs.job[j].chunks;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= count)
        return;
    uint worst = 0;
    for (uint c = 0; c < chunks; ++c)
        worst = max(worst, partials.v[i * chunks + min(c, chunks - 1)]);
    exponents.v[i] = uint(woodbury_exponent(uintBitsToFloat(worst)));
}
