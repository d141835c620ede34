// SPDX-License-Identifier: MIT
// Sorts the values of each matrix (SpectrumOrderJob): a value's place is the number of values before it, equal ones in
// the order of their columns, NaNs last: every place is taken, whatever the values. One invocation a value.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/jacobi.h"
#include "linalg/spectrum.h"
#include "linalg/status.h"
#define JOB SpectrumOrderJob
#include "core/kernel.glsl"
#include "core/scale_by.glsl"
#include "linalg/sort.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 d = p.jobs.job[j].d;
    U32 state = p.jobs.job[j].state;
    F32 values = p.jobs.job[j].values;
    F32 sorted = p.jobs.job[j].sorted;
    U32 order = p.jobs.job[j].order;
    uint count = p.jobs.job[j].count;
    uint flags = p.jobs.job[j].flags;
    uint chunks = p.jobs.job[j].chunks;
    uint item = group / chunks;
    uint i = (group - item * chunks) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= count)
        return;
    bool squared = (flags & ORDER_SQUARED) != 0u;
    uint at = item * count;
    float value = d.v[at + i];
    uint key = ordered_key(value, squared);
    uint place = 0u;
    float smallest = value;
    float largest = value;
    for (uint k = 0u; k < count; ++k) {
        float other = d.v[at + min(k, count - 1u)];
        place += uint(precedes(uvec2(ordered_key(other, squared), k), uvec2(key, i)));
        smallest = min(smallest, other);
        largest = max(largest, other);
    }
    uint words = item * JACOBI_STATE_WORDS;
    if (squared)
        value = value > 0.0 ? sqrt(value) : 0.0; // of 0, sqrt may be computed as 0 * inversesqrt(0)
    sorted.v[at + place] = value;
    values.v[at + place] = scale_by(value, int(state.v[words + JACOBI_SCALE]));
    order.v[at + place] = i;
    if (i == 0u && (flags & ORDER_HAS_STATUS) != 0u) {
        uint status = state.v[words + JACOBI_STATUS];
        if (squared && status == STATUS_OK) {
            float rank = float(p.jobs.job[j].rank_scale) * 1.1920929e-7;
            if (smallest <= rank * rank * largest)
                status = STATUS_RANK_DEFICIENT;
        }
        U32 out_status = p.jobs.job[j].status;
        out_status.v[item] = status;
    }
}
