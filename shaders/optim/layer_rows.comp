// SPDX-License-Identifier: MIT
// The rows that the statistics of layers are made of, for what needs them one by one: a (patches of images included)
// and a last column of ones, or output gradients; summed over the positions of each sample where `positions` is not 1,
// times `weight`. The column of ones stays as it is. Many jobs in one dispatch; one invocation an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/layer.h"

#define JOB LayerRowsJob
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
    F32 to = p.jobs.job[j].to;
    F32 unscale = p.jobs.job[j].unscale;
    FactorRows rows = p.jobs.job[j].rows;
    uint features = rows.features;
    uint columns = p.jobs.job[j].columns;
    uint items = p.jobs.job[j].items;
    uint samples = p.jobs.job[j].samples;
    uint positions = p.jobs.job[j].positions;
    float weight = p.jobs.job[j].weight;
    if ((p.jobs.job[j].flags & LAYER_UNSCALE) != 0u)
        weight *= unscale.v[0];

    uint e = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint column = e % columns;
    uint row = e / columns;
    if (row >= items * samples)
        return;
    if (column >= features) {
        to.v[e] = 1.0;
        return;
    }
    uint item = row / samples;
    uint begin = item * rows.item_stride;
    uvec3 place = column_place(rows, column);
    uvec3 position = row_position(rows, (row - item * samples) * positions);
    float sum = 0.0;
    for (uint q0 = 0u; q0 < positions; q0 += 64u) {
        float part = 0.0;
        uint q1 = min(q0 + 64u, positions);
        for (uint q = q0; q < q1; ++q) {
            part += element(from, begin, row_place(rows, position), place, rows, true);
            position = next_position(rows, position);
        }
        sum += part;
    }
    to.v[e] = sum * weight;
}
