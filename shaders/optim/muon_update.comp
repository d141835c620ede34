// SPDX-License-Identifier: MIT
// Muon's weight update, all blocks of all parameters in one dispatch: W <- W - lr wd W - lr f O, f the shape factor.
//
// Cautious: decays only where W O >= 0, W as before the step. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/muon.h"

#define JOB MuonUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"

layout(constant_id = SPEC_DTYPE_D) const uint FACTOR_DTYPE = DTYPE_F32;

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
    uint flags = p.jobs.job[j].flags;
    U32x4 factor = p.jobs.job[j].factor;
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    MuonHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float decay = clamp_finite(lr * parameter_decay(j, h.weight_decay));
    float scale = clamp_finite(lr * p.jobs.job[j].shape_factor);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 w = load_weight(i, valid);
        vec4 o = load_quad(factor, 4u * q, valid, is_wide(0u, 4u * q, valid), FACTOR_DTYPE);
        vec4 kept = vec4(1.0 - decay);
        if ((flags & MUON_CAUTIOUS) != 0u)
            kept = mix(vec4(1.0), kept, same_direction(w, o));
        update_weight(i, valid, kept * w, scale * o);
    }
}
