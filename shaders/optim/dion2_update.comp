// SPDX-License-Identifier: MIT
// Dion2's weight update, all blocks of all parameters in one dispatch: W <- W - lr wd W, and of the selected lines
// W <- W - lr f O, f the shape factor, times a factor of the line (NorDion2). One workgroup takes rounds x workgroup
// size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/dion2.h"

#define JOB Dion2UpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint first = p.jobs.job[j].range.first;
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_weight(j);
    F32x4 update = p.jobs.job[j].update;
    U32 positions = p.jobs.job[j].positions;
    F32 factors = p.jobs.job[j].factors;
    Dion2HyperRef hyper = p.jobs.job[j].hyper;
    Dion2Hyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float decay = clamp_finite(lr * parameter_decay(j, h.weight_decay));
    float scale = clamp_finite(lr * p.jobs.job[j].shape_factor);
    uint cols = p.jobs.job[j].cols;
    uint selected = p.jobs.job[j].count;
    uint flags = p.jobs.job[j].flags;
    bool columns = (flags & DION2_COLUMNS) != 0u;
    bool with_factors = (flags & DION2_FACTORS) != 0u;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint e = 4u * q;
        uint valid = min(4u, count - e);
        uint i = first + e;
        vec4 w = load_weight(i, valid);
        uint row = e / cols;
        uint col = e - row * cols;
        vec4 o = vec4(0.0);
        if (!columns && col + valid <= cols) { // in one row
            uint position = positions.v[row];
            if (position < selected) {
                uint at = position * cols + col;
                if (ROWS) { // not load_state(): its neighbours may lie beyond `update`, which has fewer lines
                    uvec4 four = min(at + uvec4(0u, 1u, 2u, 3u), uvec4(at + valid - 1u));
                    o = vec4(load_float(update, four.x), load_float(update, four.y), load_float(update, four.z),
                             load_float(update, four.w));
                } else {
                    o = load_state(update, at, valid);
                }
                if (with_factors)
                    o *= factors.v[position];
            }
        } else {
            for (uint k = 0u; k < valid; ++k) {
                uint position = positions.v[columns ? col : row];
                uint at = min(position, selected - 1u);
                float x = load_float(update, columns ? row * selected + at : at * cols + col);
                if (with_factors)
                    x *= factors.v[at];
                o[k] = position < selected ? x : 0.0;
                ++col;
                if (col == cols) {
                    col = 0u;
                    ++row;
                }
            }
        }
        update_weight(i, valid, (1.0 - decay) * w, scale * o);
    }
}
