// SPDX-License-Identifier: MIT
// Backward pass of the RMS norm, with n = x * scale (the normalized row) and g = gain * dy:
//
//   dx += scale (g - n mean(g n));   dy <- dy n, whose column sums are the gain's gradient
//
// One invocation a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "transformer.h"
#define JOB RmsNormBackwardJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint row = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (row >= p.jobs.job[j].rows)
        return;

    F32 x = p.jobs.job[j].x;
    F32 gain = p.jobs.job[j].gain;
    F32 scales = p.jobs.job[j].scale;
    F32 dy = p.jobs.job[j].gradient;
    F32 dx = p.jobs.job[j].x_gradient;
    uint cols = p.jobs.job[j].cols;
    bool first = p.jobs.job[j].first != 0;
    uint at = row * cols;
    float scale = scales.v[row];

    float sum = 0.0;
    for (uint c = 0; c < cols; ++c)
        sum += gain.v[c] * dy.v[at + c] * x.v[at + c];
    float mean = sum * scale / float(cols); // of g n
    for (uint c = 0; c < cols; ++c) {
        float n = x.v[at + c] * scale;
        float dyc = dy.v[at + c];
        float dxc = scale * (gain.v[c] * dyc - n * mean);
        dy.v[at + c] = dyc * n;
        dx.v[at + c] = first ? dxc : dx.v[at + c] + dxc;
    }
}
