// SPDX-License-Identifier: MIT
// values += bias of their member; then 1 where that is above zero, else -1: units without a derivative.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "threshold.h"
#define JOB ThresholdJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    F32 values = p.jobs.job[j].values;
    F32 bias = p.jobs.job[j].bias;
    uint cols = p.jobs.job[j].cols;
    float value = values.v[i] + bias.v[i / p.jobs.job[j].member * cols + i % cols];
    values.v[i] = p.jobs.job[j].binary == 0u ? value : value > 0.0 ? 1.0 : -1.0;
}
