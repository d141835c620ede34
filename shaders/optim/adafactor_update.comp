// SPDX-License-Identifier: MIT
// Adafactor's weights, all parameters in one dispatch, U formed again:
//
//   rate = lr, min(lr, 1 / sqrt(t)) or min(1e-4 lr t, 1 / sqrt(t));  a = rate, or max(eps2, RMS(W)) rate
//   x = a U / max(1, RMS(U) / clip), or m <- beta1 m + (1 - beta1) x and x = m
//   w <- (1 - lr wd) w - x, or (1 - a wd) w - x
//
// GRADIENT_READY: x itself is the result, in the weight's place, and a is given. One workgroup a tile
// (optim/adafactor.h); each combines the tiles' partial sums by itself, in the same order.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/adafactor.h"

#define JOB AdafactorUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#define REDUCE_COMPACT
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"
#include "optim/adafactor_tile.glsl"
#include "optim/adafactor_direction.glsl"
#include "optim/adafactor_rate.glsl"

const bool ONLY_DIRECTION = (FLAGS & GRADIENT_READY) != 0u;

vec3 tile_sums(F32 partials, uint tile) {
    return vec3(partials.v[3u * tile], partials.v[3u * tile + 1u], partials.v[3u * tile + 2u]);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    begin_tile(j, group);
    begin_gradient(j);
    begin_weight(j);
    AdafactorHyperRef hyper = p.jobs.job[j].hyper;
    AdafactorHyper h = hyper.h;
    F32x4 moment1 = p.jobs.job[j].moment1;

    uint items = tile_items_at_once * tile_item_rounds;
    uint tiles = (tile_items + items - 1u) / items * tile_row_tiles * tile_col_tiles;
    float inverse_count = p.jobs.job[j].inverse_count;
    F32 updates = p.jobs.job[j].updates;
    F32 weights = p.jobs.job[j].weights;
    float update_size = 0.0, weight_size = 0.0; // root mean squares
    [[dont_unroll]] for (uint which = 0u; which < 2u; ++which) {
        vec3 sums = vec3(0.0);
        for (uint k = gl_LocalInvocationID.x; k < tiles; k += gl_WorkGroupSize.x)
            sums = blue_combine(sums, which == 0u ? tile_sums(updates, k) : tile_sums(weights, k));
        vec2 scaled = blue_scaled(workgroup_sum(sums));
        float size = clamp_finite(scaled.x * safe_sqrt(vec4(scaled.y * inverse_count)).x);
        if (which == 0u)
            update_size = size;
        else
            weight_size = size;
    }

    float lr = parameter_lr(j, h.lr);
    float rate = parameter_lr(j, adafactor_rate(h, tile_flags, p.jobs.job[j].eps2, weight_size));
    F32 given = p.jobs.job[j].rate;
    if (ONLY_DIRECTION)
        rate = given.v[0];
    float decay_rate = (tile_flags & ADAFACTOR_TRANSFORMERS) != 0u ? rate : lr;
    float kept = clamp_finite(1.0 - decay_rate * parameter_decay(j, h.weight_decay));
    float size = rate / max(1.0, clamp_finite(update_size * p.jobs.job[j].inverse_clip));

    for (uint q = 0u; q < tile_item_rounds; ++q) {
        begin_item_round(q);
        begin_direction(j);
        for (uint r = 0u; r < tile_rounds; ++r) {
            uint row = tile_row(r);
            uint count = tile_row_count(row);
            [[dont_unroll]] for (uint k = 0u; k < count; ++k) { // four copies would not fit an instruction cache
                uint i = tile_element(row + k);
                uint valid = valid_at(i);
                vec4 w = load_weight(i, valid);
                vec4 x = adafactor_direction(load_gradient(i, valid), row + k, i, valid);
                x = clamp_finite(size * x, DTYPE_F32);
                if ((FLAGS & SGD_MOMENTUM) != 0u) {
                    x = h.beta1 * load_state(moment1, i, valid) + h.rate1 * x;
                    x = clamp_finite(x, DTYPE_F32);
                    store_state(moment1, i, valid, x);
                }
                if (ONLY_DIRECTION)
                    store_weight(i, valid, x);
                else
                    update_weight(i, valid, kept * w, x);
            }
        }
    }
}
