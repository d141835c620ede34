// SPDX-License-Identifier: MIT
// The average of a Kronecker factor F with a new statistic S, damped and scaled to a mean eigenvalue of 1; all factors
// in one dispatch:
//
//   S <- S n / tr S (KRONECKER_UNIT_TRACE; a zero stays zero), or S unit^2
//   F~ = decay F + rate (S + damping (tr F / n) I);   candidate = F~ n / tr F~
//
// F, symmetric, stays as it is until the candidate has a root (kronecker_commit.comp). Every workgroup adds up both
// traces by itself, in the same order, and takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerAverageJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "curvature/elements.glsl"

// A trace below stands for no statistic: it and its reciprocal are numbers.
const float LEAST_TRACE = 1e-30;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    uint rounds = p.jobs.job[j].rounds;
    uint count = order * order;
    uint flags = p.jobs.job[j].flags;
    float decay = p.jobs.job[j].decay;
    float rate = p.jobs.job[j].rate;
    F32 average = p.jobs.job[j].average;
    F32 statistic = p.jobs.job[j].statistic;
    F32 candidate = p.jobs.job[j].candidate;

    vec3 traces = vec3(0.0); // of F and S
    for (uint k = gl_LocalInvocationID.x; k < order; k += gl_WorkGroupSize.x) {
        uint i = k * (order + 1u);
        traces.x += average.v[i];
        traces.y += statistic.v[i];
    }
    traces = workgroup_sum(traces);

    float n = float(order);
    // The square of the unit may be out of range where its product with the statistic is not.
    float unit = 1.0, scale = 1.0;
    if ((flags & KRONECKER_UNIT_TRACE) != 0u) {
        scale = traces.y < LEAST_TRACE ? 1.0 : n / traces.y;
    } else if ((flags & KRONECKER_HAS_UNIT) != 0u) {
        F32 address = p.jobs.job[j].unit;
        unit = address.v[0];
        scale = unit;
    }
    float damping = p.jobs.job[j].damping * (traces.x / n);
    precise float statistic_trace = (traces.y * scale) * unit;
    precise float trace = decay * traces.x + rate * (statistic_trace + n * damping);
    float normalize = n / trace;
    float damped = rate * damping;

    // How far it is from the last diagonal element, without a division for each: CPU drivers do those one by one.
    uint cycle = order + 1u;
    uint first = element_at(j, group, 0u);
    uint lanes = lanes_at(j, group, 0u);
    uint after = first % cycle;
    uint stride = gl_WorkGroupSize.x % cycle;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = first + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        uint from = lanes + r * gl_WorkGroupSize.x;
        precise float s = (load_element(statistic, i, from, count) * scale) * unit;
        precise float f = decay * load_element(average, i, from, count) + rate * s;
        if (after == 0u)
            f += damped;
        candidate.v[i] = f * normalize;
        after += stride;
        after -= after < cycle ? 0u : cycle;
    }
}
