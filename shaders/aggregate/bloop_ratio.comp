// SPDX-License-Identifier: MIT
// The ratios of Bloop from the sums over chunks, which are added up in double-float; one workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "aggregate/bloop.h"
#include "linalg/status.h"

#define JOB BloopRatioJob
#include "core/double_float.glsl"
#include "core/kernel.glsl"
#include "core/reduce.glsl"

shared vec2 scratch[gl_WorkGroupSize.x];

// Sum number `s` over all chunks, in every invocation; all of them have to come here.
float total(F32 partials, uint chunks, uint s) {
    uint t = gl_LocalInvocationID.x;
    vec2 sum = vec2(0.0);
    for (uint c = t; c < chunks; c += gl_WorkGroupSize.x)
        sum = df_add(sum, vec2(partials.v[min(c, chunks - 1u) * BLOOP_SUMS + s], 0.0));
    scratch[t] = sum;
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            scratch[t] = df_add(scratch[t], scratch[t + half_size]);
        barrier();
    }
    float result = scratch[0].x;
    barrier();
    return result;
}

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 partials = p.jobs.job[j].partials;
    U32 started = p.jobs.job[j].started;
    U32 found = p.jobs.job[j].found;
    F32 ratios = p.jobs.job[j].ratio;
    U32 status = p.jobs.job[j].status;
    uint chunks = p.jobs.job[j].chunks;
    uint flags = p.jobs.job[j].flags;
    float eps = p.jobs.job[j].eps;
    float largest = p.jobs.job[j].largest;
    bool two = (flags & BLOOP_TWO_AVERAGES) != 0u;
    float dot = total(partials, chunks, 0u), square = total(partials, chunks, 1u);
    float auxiliary_dot = total(partials, chunks, 2u), auxiliary_square = total(partials, chunks, 3u);
    float bad = total(partials, chunks, 4u);
    if (gl_LocalInvocationID.x != 0u)
        return;

    // Where e = 0 and eps = 0 there is nothing to project on.
    float below = square + eps, auxiliary_below = auxiliary_square + eps;
    float ratio = below > 0.0 ? dot / below : 0.0;
    float auxiliary_ratio = two && auxiliary_below > 0.0 ? auxiliary_dot / auxiliary_below : 0.0;
    bool finite = bad == 0.0 && !is_nonfinite(dot) && !is_nonfinite(below) && !is_nonfinite(auxiliary_dot) &&
                  !is_nonfinite(auxiliary_below) && !is_nonfinite(ratio) && !is_nonfinite(auxiliary_ratio);
    ratio = finite ? min(ratio, largest) : 0.0;
    auxiliary_ratio = finite ? min(auxiliary_ratio, largest) : 0.0;
    found.v[BLOOP_RATIO] = floatBitsToUint(ratio);
    found.v[BLOOP_AUXILIARY_RATIO] = floatBitsToUint(auxiliary_ratio);
    found.v[BLOOP_FINITE] = finite ? 1u : 0u;
    if ((flags & BLOOP_FROM_GRADIENT) != 0u) {
        found.v[BLOOP_FIRST] = started.v[0] == 0u ? 1u : 0u;
        if (finite)
            started.v[0] = 1u;
    } else {
        found.v[BLOOP_FIRST] = 0u;
    }
    if ((flags & BLOOP_HAS_RATIO) != 0u) {
        ratios.v[0] = ratio;
        if (two)
            ratios.v[1] = auxiliary_ratio;
    }
    if ((flags & BLOOP_HAS_STATUS) != 0u)
        status.v[0] = finite ? STATUS_OK : STATUS_NONFINITE;
}
