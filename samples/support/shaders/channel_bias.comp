// SPDX-License-Identifier: MIT
// Adds its bias to every channel of images, and applies ReLU where the job asks for it. A NaN stays one. One invocation an
// element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB ChannelBiasJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    F32 bias = p.jobs.job[j].bias;
    F32 values = p.jobs.job[j].values;
    float x = values.v[i] + bias.v[i / p.jobs.job[j].positions % p.jobs.job[j].channels];
    values.v[i] = p.jobs.job[j].relu != 0u && x < 0.0 ? 0.0 : x;
}
