// SPDX-License-Identifier: MIT
// What enters M-FAC's window, all parameters in one dispatch: x = g + wd w, 0 where sparse parameters do not move.
// Parameters follow each other, each padded with zeros to a multiple of four. One workgroup takes rounds x workgroup
// size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mfac.h"

#define JOB MfacGradientJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_gradient(j);
    begin_weight(j);
    uint flags = p.jobs.job[j].flags;
    U32 kept = p.jobs.job[j].kept;
    U32x4 x = p.jobs.job[j].x;
    MfacHyperRef hyper = p.jobs.job[j].hyper;
    float decay = parameter_decay(j, hyper.h.weight_decay);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = load_gradient(i, valid);
        if ((flags & MFAC_DECAYS) != 0u)
            g = limit_gradient(g + decay * load_weight(i, valid));
        if ((flags & MFAC_SPARSE) != 0u)
            g = mix(vec4(0.0), g, notEqual(uvec4(kept.v[q]) & uvec4(1u, 2u, 4u, 8u), uvec4(0u)));
        store_temporary(x, i, 4u, g, DTYPE_F32);
    }
}
