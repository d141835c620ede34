// SPDX-License-Identifier: MIT
// Merges sorted runs of rows two and two; many tensors in one dispatch.
//
// An invocation writes PER_THREAD elements of a result. Where its share begins in both runs it finds by bisection along
// a diagonal of the merge (O. Green, R. McColl, D. Bader: "GPU merge path", ICS 2012).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/sort.h"
#define JOB MergeRunsJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/sort.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of keys
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of values
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 16;

// Beyond the end of a run comes what precedes nothing.
uvec2 element(U32 from, uint begin, uint i, uint count) {
    uint at = 2 * (begin + min(i, max(count, 1u) - 1u));
    return i < count ? uvec2(from.v[at], from.v[at + 1]) : uvec2(LAST_KEY);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 from = p.jobs.job[j].from;
    U32 to = p.jobs.job[j].to;
    U32 keys = p.jobs.job[j].keys;
    U32 values = p.jobs.job[j].values;
    uint rows = p.jobs.job[j].rows;
    uint runs = p.jobs.job[j].runs;
    uint kept = p.jobs.job[j].kept;
    uint result = p.jobs.job[j].result;
    uint pieces = p.jobs.job[j].pieces;
    uint flags = p.jobs.job[j].flags;

    uint pairs = (runs + 1) / 2;
    uint share = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint piece = share % pieces;
    uint pair = share / pieces % pairs;
    uint row = share / pieces / pairs;
    if (row >= rows)
        return;
    uint a = (row * runs + 2 * pair) * kept;
    uint b = a + kept;
    uint b_count = 2 * pair + 1 < runs ? kept : 0u;
    if (b_count == 0u)
        b = a;

    // How many of the first `done` elements of the result come from the first run.
    uint done = piece * PER_THREAD;
    uint low = done > b_count ? done - b_count : 0u;
    uint high = min(done, kept);
    low = min(low, high);
    while (low < high) {
        uint middle = (low + high) / 2;
        if (precedes(element(from, a, middle, kept), element(from, b, done - 1 - middle, b_count)))
            low = middle + 1;
        else
            high = middle;
    }
    uint i = low;
    uint k = done - low;
    uvec2 x = element(from, a, i, kept);
    uvec2 y = element(from, b, k, b_count);
    for (uint q = 0; q < PER_THREAD; ++q) {
        uint at = done + q;
        if (at >= result)
            break;
        bool first = precedes(x, y);
        uvec2 next = first ? x : y;
        if ((flags & SORT_LAST) != 0u) {
            to.v[row * p.jobs.job[j].index_stride + at] = next.y;
            if ((flags & SORT_VALUES) != 0u)
                store(values, row * p.jobs.job[j].value_stride + at,
                      load(keys, row * p.jobs.job[j].stride + next.y, DTYPE_A), DTYPE_D);
        } else {
            uint place = 2 * ((row * pairs + pair) * result + at);
            to.v[place] = next.x;
            to.v[place + 1] = next.y;
        }
        if (first)
            x = element(from, a, ++i, kept);
        else
            y = element(from, b, ++k, b_count);
    }
}
