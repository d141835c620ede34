// SPDX-License-Identifier: MIT
// What d, and U or V, move by: L <- max(decay L + (1 - decay) l, l), rate / L; one workgroup an optimizer.
//
//   d: l = max|P h . h| + max|v . P^-1 v|;  U: |a| |V V^T a| + |b| |V V^T b|;  V: |a| |U U^T a| + |b| |U U^T b|
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd_lra.h"

#define JOB PsgdLraRateJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

shared vec2 largest_scratch[gl_WorkGroupSize.x];

uint own; // the workgroup's job

// The new L, where it is finite; returns the rate.
float smooth_rate(F32 smoothness, uint which, float l) {
    float decay = p.jobs.job[own].decay;
    float next = max(decay * smoothness.v[which] + (1.0 - decay) * l, l);
    if (is_nonfinite(next))
        return 0.0;
    smoothness.v[which] = next;
    float rate = p.jobs.job[own].rate / next;
    return next > 0.0 && !is_nonfinite(rate) ? rate : 0.0;
}

void main() {
    if (nothing_to_do())
        return;
    own = find_job(workgroup_index());
    F32 partials = p.jobs.job[own].partials;
    uint partial_count = p.jobs.job[own].partial_count;
    uint t = gl_LocalInvocationID.x;
    vec2 largest = vec2(0.0);
    vec3 sums = vec3(0.0);
    for (uint k = t; k < partial_count; k += gl_WorkGroupSize.x) {
        vec4 part = vec4(partials.v[4u * k], partials.v[4u * k + 1u], partials.v[4u * k + 2u], partials.v[4u * k + 3u]);
        largest = max(largest, part.xy);
        sums += vec3(part.zw, is_nonfinite(part.x) ? 1.0 : 0.0);
    }
    largest_scratch[t] = largest;
    sums = workgroup_sum(sums);
    for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            largest_scratch[t] = max(largest_scratch[t], largest_scratch[t + half_size]);
        barrier();
    }
    if (t != 0u)
        return;
    F32 small = p.jobs.job[own].small;
    F32 smoothness = p.jobs.job[own].smoothness;
    F32 choice = p.jobs.job[own].choice;
    if (sums.z != 0.0 || is_nonfinite(sums.x) || is_nonfinite(sums.y))
        small.v[LRA_GOOD] = 0.0;
    if (small.v[LRA_GOOD] == 0.0)
        return;
    float a = sums.x > 0.0 ? sqrt(sums.x) : 0.0;
    float b = sums.y > 0.0 ? sqrt(sums.y) : 0.0;
    bool moves_u = choice.v[0] == 0.0;
    uint first = moves_u ? LRA_NORMS : LRA_NORMS + 2u;
    float moved = smooth_rate(smoothness, moves_u ? 1u : 2u, a * small.v[first] + b * small.v[first + 1u]);
    small.v[LRA_RATES] = smooth_rate(smoothness, 0u, largest_scratch[0].x + largest_scratch[0].y);
    small.v[LRA_RATES + 1u] = moves_u ? moved : 0.0;
    small.v[LRA_RATES + 2u] = moves_u ? 0.0 : moved;
}
