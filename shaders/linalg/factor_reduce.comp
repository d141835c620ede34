// SPDX-License-Identifier: MIT
// Means or sums of rows of a over the positions of each sample; many jobs in one dispatch.
//
// One invocation a sample and column; sums of 64 rows are added up.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/factor.h"
#define JOB FactorReduceJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/factor_rows.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 from = p.jobs.job[j].from;
    U32 to = p.jobs.job[j].to;
    FactorRows rows = p.jobs.job[j].rows;
    uint features = rows.features;
    uint items = p.jobs.job[j].items;
    uint samples = p.jobs.job[j].samples;
    uint positions = p.jobs.job[j].positions;

    uint e = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint column = e % features;
    uint sample_row = e / features;
    if (sample_row >= items * samples)
        return;
    uint item = sample_row / samples;
    uint begin = item * rows.item_stride;
    uint first = (sample_row - item * samples) * positions + p.jobs.job[j].begin;
    uint count = p.jobs.job[j].count;
    uvec3 place = column_place(rows, column);
    uvec3 position = row_position(rows, first);
    float sum = p.jobs.job[j].begin == 0u ? 0.0 : uintBitsToFloat(to.v[e]);
    for (uint q0 = 0; q0 < count; q0 += 64) {
        float part = 0.0;
        uint q1 = min(q0 + 64, count);
        for (uint q = q0; q < q1; ++q) {
            part += element(from, begin, row_place(rows, position), place, rows, true);
            position = next_position(rows, position);
        }
        sum += part;
    }
    if (p.jobs.job[j].begin + count == positions)
        sum *= p.jobs.job[j].weight;
    to.v[e] = floatBitsToUint(sum);
}
