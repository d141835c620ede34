// SPDX-License-Identifier: MIT
// Values of each coordinate that need the diagonal of an inverse Fisher matrix (linalg/fisher.h). An invocation a
// coordinate.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/fisher.h"

#define JOB FisherValuesJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/fisher.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 y = p.jobs.job[j].y;
    F32 weights = p.jobs.job[j].weights;
    U32 kept = p.jobs.job[j].kept;
    F32 result = p.jobs.job[j].result;
    uint d = p.jobs.job[j].d;
    uint rows = p.jobs.job[j].rows;
    uint mode = p.jobs.job[j].mode;
    float damping = p.jobs.job[j].damping;
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= d)
        return;
    FisherColumn column = fisher_column(i, d, rows, p.jobs.job[j].block);
    float sum = 0.0;
    float part = 0.0; // closed every 64 rows
    for (uint k = 0; k < rows; ++k) {
        float value = y.v[column.first + min(k, rows - 1) * column.width];
        part += value * value;
        if ((k & 63u) == 63u) {
            sum += part;
            part = 0.0;
        }
    }
    // damping [F^-1]_jj; what rounding errors have taken from it is no more than eps.
    float share = clamp(1.0 - (sum + part) / float(rows), 1.1920929e-7, 1.0);
    float value = share / damping;
    if (mode != FISHER_DIAGONAL) {
        float w = weights.v[i];
        bool is_kept = kept.v[i] != 0u;
        float scaled = clamp_finite(w * damping / share);
        if (mode == FISHER_SCORES)
            value = is_kept ? clamp_finite(0.5 * w * scaled) : uintBitsToFloat(0x7f800000u);
        else
            value = is_kept ? 0.0 : -scaled;
    }
    result.v[i] = value;
}
