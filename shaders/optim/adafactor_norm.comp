// SPDX-License-Identifier: MIT
// Squares of Adafactor's U, summed a tile, all parameters in one dispatch. One workgroup a tile (optim/adafactor.h).
// The order of all sums is fixed.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/adafactor.h"

#define JOB AdafactorNormJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/adafactor_tile.glsl"
#include "optim/adafactor_direction.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    begin_tile(j, group);
    begin_gradient(j);

    vec3 sums = vec3(0.0);
    for (uint q = 0u; q < tile_item_rounds; ++q) {
        begin_item_round(q);
        begin_direction(j);
        for (uint r = 0u; r < tile_rounds; ++r) {
            uint row = tile_row(r);
            uint count = tile_row_count(row);
            for (uint k = 0u; k < count; ++k) {
                uint i = tile_element(row + k);
                uint valid = valid_at(i);
                vec4 u = adafactor_direction(load_gradient(i, valid), row + k, i, valid);
                for (uint e = 0u; e < 4u; ++e)
                    blue_add(sums, u[e]); // components beyond `valid` are zero, as their gradients are
            }
        }
    }
    sums = workgroup_sum(sums);
    if (gl_LocalInvocationID.x == 0u) {
        F32 to = p.jobs.job[j].updates;
        uint w = 3u * (group - p.jobs.job[j].first_group);
        to.v[w] = sums.x;
        to.v[w + 1u] = sums.y;
        to.v[w + 2u] = sums.z;
    }
}
