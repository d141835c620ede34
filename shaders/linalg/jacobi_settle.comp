// SPDX-License-Identifier: MIT
// After a sweep: adds up what its rotations met, and freezes what has converged (JacobiSettleJob). One workgroup a
// matrix.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/jacobi.h"
#include "linalg/status.h"
#define JOB JacobiSettleJob
#include "core/kernel.glsl"

shared float sums[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint item = workgroup_index();
    uint j = find_job(item);
    item -= p.jobs.job[j].first_group;
    F32 partials = p.jobs.job[j].partials;
    U32 state = p.jobs.job[j].state;
    uint words = item * JACOBI_STATE_WORDS;
    if (state.v[words + JACOBI_FROZEN] != 0u)
        return;
    uint count = p.jobs.job[j].count;
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < count; i += gl_WorkGroupSize.x)
        sum += partials.v[item * count + min(i, count - 1u)];
    sums[gl_LocalInvocationID.x] = sum;
    barrier();
    if (gl_LocalInvocationID.x != 0u)
        return;
    sum = 0.0;
    for (uint i = 0u; i < gl_WorkGroupSize.x; ++i)
        sum += sums[i];
    if (sum <= p.jobs.job[j].tolerance)
        state.v[words + JACOBI_FROZEN] = 1u;
    else if (p.jobs.job[j].limit >= 0.0 && sum > p.jobs.job[j].limit)
        state.v[words + JACOBI_STATUS] = STATUS_NOT_CONVERGED;
}
