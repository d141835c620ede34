// SPDX-License-Identifier: MIT
// Rayleigh quotients of the vectors of a basis, all factors in one dispatch: e_j = sum_i Q_ij (A Q)_ij, where there is
// a Q. Before the first step: all of them are the same number.
//
// A workgroup takes 32 columns (or as many as it has invocations), the rows shared out to what is left of it.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/shampoo4bit.h"
#include "linalg/status.h"

#define JOB Shampoo4BitValuesJob
#include "core/kernel.glsl"
#include "core/half.glsl"

shared float parts[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    F32 values = p.jobs.job[j].values;
    bool start = (p.jobs.job[j].flags & SHAMPOO4BIT_START) != 0u;
    if (!start) {
        U32 status = p.jobs.job[j].status;
        if (!is_usable(status.v[0]))
            return;
    }
    uint t = gl_LocalInvocationID.x;
    uint across = min(gl_WorkGroupSize.x, 32u);
    uint slices = gl_WorkGroupSize.x / across;
    uint slice = t / across;
    uint column = (group - p.jobs.job[j].first_group) * across + t % across;

    float sum = p.jobs.job[j].start;
    if (!start) {
        F32 basis = p.jobs.job[j].basis;
        F32 product = p.jobs.job[j].product;
        uint last = order * order - 1u; // no load goes beyond it, also where a driver runs a loop once too often
        sum = 0.0;
        if (column < order)
            for (uint i = slice; i < order; i += slices)
                sum += basis.v[min(i * order + column, last)] * product.v[min(i * order + column, last)];
        parts[t] = sum;
        barrier();
        for (uint half_size = slices / 2u; half_size > 0u; half_size /= 2u) {
            if (slice < half_size)
                parts[t] += parts[t + half_size * across];
            barrier();
        }
        sum = parts[t % across];
    }
    if (slice == 0u && column < order)
        values.v[column] = clamp_finite(sum);
}
