// SPDX-License-Identifier: MIT
// V = S^T J / sqrt(b lambda): the rows of one sample by each other, columns apart. J is read twice, the second time
// from the cache where the sample's rows of these columns fit.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "newton/newton.h"

#define JOB GaussNewtonRowsJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of the Jacobian
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1;   // columns

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 jacobian = p.jobs.job[j].jacobian;
    F32 lambda = p.jobs.job[j].lambda;
    F32 probabilities = p.jobs.job[j].probabilities;
    F32 roots = p.jobs.job[j].roots;
    F32 rows = p.jobs.job[j].rows;
    uint samples = p.jobs.job[j].samples;
    uint outputs = p.jobs.job[j].outputs;
    uint columns = p.jobs.job[j].columns;
    uint stride = p.jobs.job[j].stride;
    uint loss = p.jobs.job[j].loss;
    uint blocks = p.jobs.job[j].blocks;
    uint sample_index = group / blocks, block = group % blocks;
    uint first = sample_index * outputs;
    float scale = damping_scale(samples, lambda.v[0]);
    for (uint c = 0; c < PER_THREAD; ++c) {
        uint column = (block * PER_THREAD + c) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (column >= columns)
            return;
        float mean = 0.0;
        if (loss == LOSS_SOFTMAX)
            for (uint k = 0; k < outputs; ++k) {
                uint row = first + min(k, outputs - 1u);
                mean += probabilities.v[row] * load(jacobian, row * stride + column, DTYPE_A);
            }
        for (uint k = 0; k < outputs; ++k) {
            uint row = first + min(k, outputs - 1u);
            rows.v[row * columns + column] =
                scale * roots.v[row] * (load(jacobian, row * stride + column, DTYPE_A) - mean);
        }
    }
}
