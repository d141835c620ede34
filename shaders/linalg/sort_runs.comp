// SPDX-License-Identifier: MIT
// Sorts runs of elements of rows in shared memory (bitonic networks, K. E. Batcher 1968); many tensors in one dispatch.
//
// Shifts instead of divisions: CPU drivers pay for those, invocation by invocation. A workgroup has 2 POOL slots for
// pairs, and sorts as many runs at once as fit. All pairs differ, since no column occurs twice, so that the result is
// stable.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/sort.h"
#define JOB SortRunsJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/sort.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of keys
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of values
layout(constant_id = SPEC_POOL) const uint POOL = 512;

const uint SLOTS = 2 * POOL;

shared uvec2 slots[2 * POOL];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 keys = p.jobs.job[j].keys;
    U32 to = p.jobs.job[j].to;
    U32 values = p.jobs.job[j].values;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint stride = p.jobs.job[j].stride;
    uint run = p.jobs.job[j].run;
    uint runs = p.jobs.job[j].runs;
    uint kept = p.jobs.job[j].kept;
    uint flags = p.jobs.job[j].flags;
    bool descending = (flags & SORT_DESCENDING) != 0u;

    uint shift = uint(findMSB(run)); // run = 1 << shift
    uint first_run = group * (SLOTS >> shift);
    [[dont_unroll]] for (uint s = gl_LocalInvocationID.x; s < SLOTS; s += gl_WorkGroupSize.x) {
        uint which = first_run + (s >> shift);
        uint row = runs == 1u ? which : which / runs;
        uint col = ((which - row * runs) << shift) + (s & (run - 1u));
        uvec2 pair = uvec2(LAST_KEY, col);
        if (row < rows && col < cols)
            pair.x = ordered_key(load(keys, row * stride + col, DTYPE_A), descending);
        slots[s] = pair;
    }

    for (uint size = 2; size <= run; size *= 2)
        for (uint reach = size / 2; reach > 0; reach /= 2) {
            barrier();
            [[dont_unroll]] for (uint t = gl_LocalInvocationID.x; t < SLOTS / 2; t += gl_WorkGroupSize.x) {
                uint low = 2 * t - (t & (reach - 1));
                uint high = low + reach;
                // The last stage rises in every run; before it, halves alternate.
                bool rises = size == run || (low & size) == 0u;
                uvec2 a = slots[low];
                uvec2 b = slots[high];
                if (precedes(b, a) == rises) {
                    slots[low] = b;
                    slots[high] = a;
                }
            }
        }
    barrier();

    [[dont_unroll]] for (uint s = gl_LocalInvocationID.x; s < SLOTS; s += gl_WorkGroupSize.x) {
        uint which = first_run + (s >> shift);
        uint row = runs == 1u ? which : which / runs;
        uint at = s & (run - 1u);
        if (row >= rows || at >= kept)
            continue;
        uvec2 pair = slots[s];
        if ((flags & SORT_LAST) != 0u) {
            to.v[row * p.jobs.job[j].index_stride + at] = pair.y;
            if ((flags & SORT_VALUES) != 0u)
                store(values, row * p.jobs.job[j].value_stride + at, load(keys, row * stride + pair.y, DTYPE_A), DTYPE_D);
        } else {
            to.v[2 * (which * kept + at)] = pair.x;
            to.v[2 * (which * kept + at) + 1] = pair.y;
        }
    }
}
