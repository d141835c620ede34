// SPDX-License-Identifier: MIT
// What the loss makes of the predictions: probabilities, the residual r, and S and q with S S^T = Q, S q = r. S is
// diag(roots) - p roots^T for softmax, diag(roots) else. One sample an invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "newton/newton.h"

#define JOB GaussNewtonSamplesJob
#include "core/kernel.glsl"
#include "core/math.glsl"

// Below, a probability counts as this under S: Q changes by as much, S q = r stays exact.
const float SMALLEST = 1e-12;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 predictions = p.jobs.job[j].predictions;
    F32 targets = p.jobs.job[j].targets;
    F32 lambda = p.jobs.job[j].lambda;
    F32 probabilities = p.jobs.job[j].probabilities;
    F32 roots = p.jobs.job[j].roots;
    F32 rhs = p.jobs.job[j].rhs;
    F32 residual = p.jobs.job[j].residual;
    uint samples = p.jobs.job[j].samples;
    uint outputs = p.jobs.job[j].outputs;
    uint loss = p.jobs.job[j].loss;
    uint flags = p.jobs.job[j].flags;
    uint sample_index = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (sample_index >= samples)
        return;
    uint at = sample_index * outputs;

    float largest = predictions.v[at], sum = 0.0;
    if (loss == LOSS_SOFTMAX) {
        for (uint k = 1; k < outputs; ++k)
            largest = max(largest, predictions.v[at + min(k, outputs - 1u)]);
        for (uint k = 0; k < outputs; ++k)
            sum += exp_accurate(predictions.v[at + min(k, outputs - 1u)] - largest);
    }
    float scale = 1.0;
    if ((flags & NEWTON_HAS_SYSTEM) != 0u)
        scale = damping_scale(samples, lambda.v[0]);
    for (uint k = 0; k < outputs; ++k) {
        uint i = at + min(k, outputs - 1u);
        float f = predictions.v[i], t = targets.v[i], r = t - f, root = 1.0;
        if (loss != LOSS_SQUARED_ERROR) {
            float probability = loss == LOSS_SOFTMAX ? exp_accurate(f - largest) / sum : 1.0 / (1.0 + exp_accurate(-f));
            probabilities.v[i] = probability;
            r = t - probability;
            root = sqrt(max(loss == LOSS_SOFTMAX ? probability : probability * (1.0 - probability), SMALLEST));
        }
        if ((flags & NEWTON_HAS_RESIDUAL) != 0u)
            residual.v[i] = r;
        if ((flags & NEWTON_HAS_SYSTEM) != 0u) {
            roots.v[i] = root;
            rhs.v[i] = (loss == LOSS_SOFTMAX ? t : r) / root * scale;
        }
    }
}
