// SPDX-License-Identifier: MIT
// Root mean square normalization (Zhang and Sennrich 2019): y = gain * x / rms(x), rms(x)^2 = mean(x^2) + 1e-6.
//
// One invocation a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "transformer.h"
#define JOB RmsNormJob
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
    F32 y = p.jobs.job[j].y;
    F32 scales = p.jobs.job[j].scale;
    uint cols = p.jobs.job[j].cols;
    uint at = row * cols;

    float squares = 0.0;
    for (uint c = 0; c < cols; ++c)
        squares += x.v[at + c] * x.v[at + c];
    float scale = inversesqrt(squares / float(cols) + 1e-6);
    scales.v[row] = scale;
    for (uint c = 0; c < cols; ++c)
        y.v[at + c] = gain.v[c] * (x.v[at + c] * scale);
}
