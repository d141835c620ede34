// SPDX-License-Identifier: MIT
// Backward pass of the attention probabilities P, from dP to dS in place: dS = P (dP - sum(P dP)), row by row.
//
// One invocation a row. Behind the diagonal P is zero, and so is dS.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "transformer.h"
#define JOB CausalSoftmaxBackwardJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint row = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (row >= p.jobs.job[j].rows)
        return;

    F32 probabilities = p.jobs.job[j].probabilities;
    F32 gradient = p.jobs.job[j].gradient;
    uint context = p.jobs.job[j].context;
    uint at = row * context;
    uint count = row % context + 1;

    float sum = 0.0;
    for (uint c = 0; c < count; ++c)
        sum += probabilities.v[at + c] * gradient.v[at + c];
    for (uint c = 0; c < count; ++c)
        gradient.v[at + c] = probabilities.v[at + c] * (gradient.v[at + c] - sum);
    for (uint c = count; c < context; ++c)
        gradient.v[at + c] = 0.0;
}
