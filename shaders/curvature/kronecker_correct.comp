// SPDX-License-Identifier: MIT
// Kronecker factors on their way to a root, all of them in one dispatch: X = c F, c the correction of the average's
// bias, and, with KRONECKER_SCALE_BY_TRACE, X <- X max(tr X, floor)^exponent; then X + damping I. Elements are cut to
// 2^100, NaNs stay. Every workgroup adds up the trace by itself, in the same order, and takes rounds x workgroup size
// elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerCorrectJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "curvature/elements.glsl"

const float LARGEST = 1.2676506e30; // 2^100: norms, and what roots do with them, stay in range

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    uint rounds = p.jobs.job[j].rounds;
    uint count = order * order;
    F32 average = p.jobs.job[j].average;
    F32 correction = p.jobs.job[j].correction;
    F32 result = p.jobs.job[j].result;
    float c = correction.v[0];
    float damping = p.jobs.job[j].damping;
    float scale = 1.0;
    if ((p.jobs.job[j].flags & KRONECKER_SCALE_BY_TRACE) != 0u) {
        vec3 trace = vec3(0.0);
        for (uint k = gl_LocalInvocationID.x; k < order; k += gl_WorkGroupSize.x)
            trace.x += c * average.v[k * (order + 1u)];
        float x = workgroup_sum(trace).x;
        // Positive and normal, as power() wants it, whatever the average holds.
        x = is_nan(x) ? 1.0 : clamp_finite(max(x, max(p.jobs.job[j].trace_floor, 1.17549435e-38)));
        scale = power(x, p.jobs.job[j].exponent_high, p.jobs.job[j].exponent_low);
    }
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        float x = (average.v[i] * scale) * c;
        if (on_diagonal(i, order))
            x += damping;
        result.v[i] = is_nan(x) ? x : clamp(x, -LARGEST, LARGEST);
    }
}
