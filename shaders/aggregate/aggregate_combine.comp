// SPDX-License-Identifier: MIT
// Aggregates: sums of the rows of one part of a Jacobian with their weights. An invocation does pairs of neighbouring
// elements, and goes through all rows for each: one pair on GPUs, several on CPU drivers, where invocations cost.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "aggregate/aggregate.h"

#define JOB AggregateCombineJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of the rows
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of the aggregate
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1;   // pairs

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 rows = p.jobs.job[j].rows;
    F32 weights = p.jobs.job[j].weights;
    U32 gradient = p.jobs.job[j].gradient;
    uint n = p.jobs.job[j].n;
    uint stride = p.jobs.job[j].stride;
    uint k = p.jobs.job[j].objectives;
    bool weighted = (p.jobs.job[j].flags & AGGREGATE_HAS_WEIGHTS) != 0u;
    float weight = p.jobs.job[j].weight;
    for (uint pair = 0; pair < PER_THREAD; ++pair) {
        uint i = 2u * ((group * PER_THREAD + pair) * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
        if (i >= n)
            return;
        uint i1 = min(i + 1u, n - 1u);
        vec2 sum = vec2(0.0);
        for (uint r0 = 0; r0 < k; ++r0) {
            uint r = min(r0, k - 1u);
            uint from = r * stride;
            float factor = weighted ? weights.v[weighted ? r : 0u] : weight;
            sum += factor * vec2(load(rows, from + i, DTYPE_A), load(rows, from + i1, DTYPE_A));
        }
        if (i + 1u < n)
            store_pair(gradient, i, sum, DTYPE_D);
        else
            store(gradient, i, sum.x, DTYPE_D);
    }
}
