// SPDX-License-Identifier: MIT
// FISMO's momentum in the whitened space, all blocks of all parameters in one dispatch:
//
//   M <- beta M + (1 - beta) G~;   U = (1 - beta) G~ + beta M (Nesterov), or M
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/fismo.h"

#define JOB FismoMomentumJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/muon_direction.glsl"

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
    uint flags = p.jobs.job[j].flags;
    F32x4 whitened = p.jobs.job[j].whitened;
    F32 unit = p.jobs.job[j].unit;
    F32x4 momentum = p.jobs.job[j].momentum;
    F32x4 update = p.jobs.job[j].update;
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    MuonHyper h = hyper.h;
    float scale = unit.v[0];

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 g = load_state(whitened, 4u * q, valid) * scale;
        vec4 m = h.momentum * load_state(momentum, i, valid) + h.rate * g;
        store_state(momentum, i, valid, m);
        store_state(update, 4u * q, valid, muon_direction(m, g, h.momentum, h.rate, flags));
    }
}
