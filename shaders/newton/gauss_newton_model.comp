// SPDX-License-Identifier: MIT
// Slope -r^T u / b and curvature u^T Q u / b of a step, u = J s; one workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "newton/newton.h"

#define JOB GaussNewtonModelJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 along = p.jobs.job[j].along;
    F32 probabilities = p.jobs.job[j].probabilities;
    F32 residual = p.jobs.job[j].residual;
    F32 model = p.jobs.job[j].model;
    uint samples = p.jobs.job[j].samples;
    uint outputs = p.jobs.job[j].outputs;
    uint loss = p.jobs.job[j].loss;
    vec3 sums = vec3(0.0); // slope, curvature
    for (uint s = gl_LocalInvocationID.x; s < samples; s += gl_WorkGroupSize.x) {
        uint at = min(s, samples - 1u) * outputs;
        float mean = 0.0;
        if (loss == LOSS_SOFTMAX)
            for (uint k = 0; k < outputs; ++k)
                mean += probabilities.v[at + min(k, outputs - 1u)] * along.v[at + min(k, outputs - 1u)];
        vec2 of_sample = vec2(0.0);
        for (uint k = 0; k < outputs; ++k) {
            uint i = at + min(k, outputs - 1u);
            float u = along.v[i], weight = 1.0;
            if (loss != LOSS_SQUARED_ERROR)
                weight = probabilities.v[i] * (loss == LOSS_SIGMOID ? 1.0 - probabilities.v[i] : 1.0);
            of_sample += vec2(residual.v[i] * u, weight * (u - mean) * (u - mean));
        }
        sums += vec3(of_sample, 0.0);
    }
    sums = workgroup_sum(sums);
    if (gl_LocalInvocationID.x != 0u)
        return;
    model.v[0] = -sums.x / float(samples);
    model.v[1] = sums.y / float(samples);
}
