// SPDX-License-Identifier: MIT
// A <- decay A + weight (sum of partial sums), symmetric; many jobs in one dispatch.
//
// One invocation an element, those below the diagonal idle. Partial sums are added eight and eight by halving, the
// eights in order.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/factor.h"
#define JOB FactorFinishJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 partials = p.jobs.job[j].partials;
    U32 to = p.jobs.job[j].to;
    uint n = p.jobs.job[j].n;
    uint items = p.jobs.job[j].items;
    uint splits = p.jobs.job[j].splits;
    uint flags = p.jobs.job[j].flags;

    uint e = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint item = e / (n * n);
    uint row = e / n % n;
    uint col = e % n;
    if (item >= items || col < row)
        return;
    uint begin = item * splits * n * n + row * n + col;
    float sum = 0.0;
    for (uint s0 = 0; s0 < splits; s0 += 8) {
        float eight[8];
        [[unroll]] for (uint s = 0; s < 8; ++s)
            eight[s] = s0 + s < splits ? uintBitsToFloat(partials.v[begin + min(s0 + s, splits - 1) * n * n]) : 0.0;
        sum += ((eight[0] + eight[1]) + (eight[2] + eight[3])) + ((eight[4] + eight[5]) + (eight[6] + eight[7]));
    }
    float value = p.jobs.job[j].weight * sum;
    uint at = item * p.jobs.job[j].to_item;
    uint to_row = p.jobs.job[j].to_row;
    if ((flags & FACTOR_HAS_OLD) != 0u)
        value += p.jobs.job[j].decay * uintBitsToFloat(to.v[at + row * to_row + col]);
    to.v[at + row * to_row + col] = floatBitsToUint(value);
    if (col != row)
        to.v[at + col * to_row + row] = floatBitsToUint(value);
}
