// SPDX-License-Identifier: MIT
// Adafactor's rate of a parameter whose step belongs to another optimizer: rate, or max(eps2, |W| / sqrt(count)) rate,
// times the parameter's scale. All parameters in one dispatch, one invocation each.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/adafactor.h"

#define JOB AdafactorScaleJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/adafactor_rate.glsl"

void main() {
    if (nothing_to_do() || gl_LocalInvocationID.x != 0u)
        return;
    uint j = find_job(workgroup_index());
    AdafactorHyperRef hyper = p.jobs.job[j].hyper;
    F32 norm = p.jobs.job[j].norm;
    F32 rate = p.jobs.job[j].rate;
    float weight_size = clamp_finite(norm.v[0] * p.jobs.job[j].norm_factor);
    float a = adafactor_rate(hyper.h, p.jobs.job[j].flags, p.jobs.job[j].eps2, weight_size);
    rate.v[0] = clamp_finite(a * p.jobs.job[j].lr_scale);
}
