// SPDX-License-Identifier: MIT
// What Adafactor sums over a parameter, all parameters in one dispatch: per tile the means' parts of G^2 over its rows
// and over its columns, and the squares of W. The second moment of a vector is finished here: v <- v + t^decay
// (G^2 + eps - v). One workgroup a tile (optim/adafactor.h); G and W are read once. All orders are fixed.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/adafactor.h"

#define JOB AdafactorSumsJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"
#include "optim/adafactor_tile.glsl"

shared vec4 scratch[gl_WorkGroupSize.x];

// Sums over the lanes lane, lane + stride, ..., in the one whose `index` is 0; `count` of them, a power of two.
vec4 sum_lanes(vec4 x, uint index, uint count, uint stride) {
    uint lane = gl_LocalInvocationID.x;
    scratch[lane] = x;
    barrier();
    for (uint half_size = count / 2u; half_size > 0u; half_size /= 2u) {
        if (index < half_size)
            scratch[lane] += scratch[lane + half_size * stride];
        barrier();
    }
    vec4 total = scratch[lane];
    barrier(); // the scratch may be used again
    return total;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    begin_tile(j, group);
    begin_gradient(j);
    begin_weight(j);
    F32 row_sums = p.jobs.job[j].row_sums;
    F32 col_sums = p.jobs.job[j].col_sums;
    float row_weight = p.jobs.job[j].row_weight;
    float col_weight = p.jobs.job[j].col_weight;
    AdafactorHyperRef hyper = p.jobs.job[j].hyper;
    float rate = hyper.h.rate2;
    float eps = p.jobs.job[j].eps;
    bool scaled = (tile_flags & ADAFACTOR_SCALED) != 0u;

    vec3 weights = vec3(0.0);
    for (uint q = 0u; q < tile_item_rounds; ++q) {
        begin_item_round(q);
        vec4 columns = vec4(0.0);
        for (uint r = 0u; r < tile_rounds; ++r) {
            uint row = tile_row(r);
            uint count = tile_row_count(row);
            vec4 rows = vec4(0.0);
            for (uint k = 0u; k < count; ++k) {
                uint i = tile_element(row + k);
                uint valid = valid_at(i);
                vec4 g = load_gradient(i, valid);
                precise vec4 square = g * g; // divided before it is added up: no sum overflows
                if (is_vector()) {
                    for (uint e = 0u; e < valid; ++e)
                        col_sums.v[i + e] = col_sums.v[i + e] + rate * (square[e] + eps - col_sums.v[i + e]);
                } else {
                    precise vec4 col_share = square * col_weight;
                    columns += col_share;
                    // Nor may a compiler add first and divide afterwards.
                    precise vec4 share = square * row_weight;
                    precise float sum = (share.x + share.y) + (share.z + share.w);
                    rows[k] = sum;
                }
                if (scaled) {
                    vec4 w = load_weight(i, valid);
                    for (uint e = 0u; e < 4u; ++e)
                        blue_add(weights, w[e]);
                }
            }
            if (!is_vector()) {
                rows = sum_lanes(rows, tile_lane_col, tile_lane_cols, 1u);
                if (tile_lane_col == 0u)
                    for (uint k = 0u; k < count; ++k)
                        row_sums.v[(tile_item * tile_rows + row + k) * tile_col_tiles + tile_col_tile] = rows[k];
            }
        }
        if (!is_vector()) {
            columns = sum_lanes(columns, tile_lane_row, tile_lane_rows, tile_lane_cols);
            if (tile_lane_row == 0u)
                for (uint k = 0u; k < tile_valid; ++k)
                    col_sums.v[(tile_item * tile_row_tiles + tile_row_tile) * tile_cols + tile_col + k] = columns[k];
        }
    }
    if (scaled) {
        weights = workgroup_sum(weights);
        if (gl_LocalInvocationID.x == 0u) {
            F32 to = p.jobs.job[j].weights;
            uint w = 3u * (group - p.jobs.job[j].first_group);
            to.v[w] = weights.x;
            to.v[w + 1u] = weights.y;
            to.v[w + 2u] = weights.z;
        }
    }
}
