// SPDX-License-Identifier: MIT
// Weights after pruning (linalg/fisher.h). An invocation a weight.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/fisher.h"

#define JOB FisherSettleJob
#include "core/kernel.glsl"
#include "core/half.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 weights = p.jobs.job[j].weights;
    F32 change = p.jobs.job[j].change;
    U32 kept = p.jobs.job[j].kept;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    float w = clamp_finite(weights.v[i] + change.v[i]);
    weights.v[i] = kept.v[i] != 0u ? w : 0.0;
}
