// SPDX-License-Identifier: MIT
// What a structure needs of second moments, straight from activations, all factors in one dispatch:
//
//   U_ij = weight sum over rows a_i a_j,   at the positions (i, j) of the structure's elements
//
// Rows may be cut into pieces, whose sums structured_total.comp adds up (pieces > 1: without the weight). One
// invocation an element and piece; sums of 64 rows are added up.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/structured.h"

#define JOB StructuredStatisticJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/factor_rows.glsl"
#include "curvature/structured.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    set_structure(p.jobs.job[j].structure.kind, p.jobs.job[j].structure.order, p.jobs.job[j].structure.first,
                  p.jobs.job[j].structure.last);
    U32 from = p.jobs.job[j].from;
    F32 to = p.jobs.job[j].to;
    uint stored = p.jobs.job[j].stored;
    FactorRows rows = p.jobs.job[j].rows;
    uint features = rows.features;
    uint begin = p.jobs.job[j].item * rows.item_stride;

    uint tiles = (stored + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
    uint piece = group / tiles;
    uint e = (group - piece * tiles) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (e >= stored)
        return;
    uint first = piece * p.jobs.job[j].piece_rows;
    uint count = min(p.jobs.job[j].piece_rows, rows.count - first);
    uvec2 at = position_of(e);
    // The bias is a last column of ones.
    bvec2 is_bias = greaterThanEqual(at, uvec2(features));
    uvec3 place_i = column_place(rows, is_bias.x ? 0u : at.x);
    uvec3 place_j = column_place(rows, is_bias.y ? 0u : at.y);
    uvec3 position = row_position(rows, first);
    float sum = 0.0;
    for (uint r0 = 0u; r0 < count; r0 += 64u) {
        float part = 0.0;
        uint r1 = min(r0 + 64u, count);
        for (uint r = r0; r < r1; ++r) {
            uvec3 row = row_place(rows, position);
            float a = is_bias.x ? 1.0 : element(from, begin, row, place_i, rows, true);
            float b = at.x == at.y ? a : is_bias.y ? 1.0 : element(from, begin, row, place_j, rows, true);
            part += a * b;
            position = next_position(rows, position);
        }
        sum += part;
    }
    to.v[piece * stored + e] = p.jobs.job[j].pieces == 1u ? p.jobs.job[j].weight * sum : sum;
}
