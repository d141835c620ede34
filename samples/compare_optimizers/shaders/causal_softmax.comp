// SPDX-License-Identifier: MIT
// Attention probabilities, in place: row t of a context x context matrix of scores becomes the softmax of its first t + 1
// elements, and zero behind them.
//
// One invocation a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "transformer.h"
#define JOB CausalSoftmaxJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint row = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (row >= p.jobs.job[j].rows)
        return;

    F32 scores = p.jobs.job[j].scores;
    uint context = p.jobs.job[j].context;
    uint at = row * context;
    uint count = row % context + 1;

    float highest = scores.v[at];
    for (uint c = 1; c < count; ++c)
        highest = max(highest, scores.v[at + c]);
    float sum = 0.0;
    for (uint c = 0; c < count; ++c) {
        float e = exp(scores.v[at + c] - highest);
        scores.v[at + c] = e;
        sum += e;
    }
    for (uint c = 0; c < count; ++c)
        scores.v[at + c] /= sum;
    for (uint c = count; c < context; ++c)
        scores.v[at + c] = 0.0;
}
