// SPDX-License-Identifier: MIT
// The weight update of Muon and its family, all blocks of all parameters in one dispatch:
//
//   W <- W - lr wd W - lr f O          f: the shape factor
//   W <- W - lr wd W - lr f diag(x) O  or O diag(x), with LINES (a macro)
//
// Cautious: decays only where W O >= 0, W as before the step. Squared: lr^2 wd instead of lr wd.
// Decay after: what is subtracted decays, too. MUON_SIGN: sign(O) for O. MUON_RATED: a given rate for lr, without it
// beside O. With MUON_LINE_DIVIDE a line is divided by line_scale x + line_eps; where that is 0 (or subnormal) the line
// is 0. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/muon.h"

#define JOB MuonUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/weight.glsl"
#include "optim/muon_decay.glsl"

layout(constant_id = SPEC_DTYPE_D) const uint DIRECTION_DTYPE = DTYPE_F32;

#ifdef LINES
// Of elements i .. i + 3 of the block: the factors of their lines.
vec4 line_quad(uint j, uint i, uint count) {
    F32 factors = p.jobs.job[j].line_factors;
    uint cols = p.jobs.job[j].cols;
    uint flags = p.jobs.job[j].flags;
    bool columns = (flags & MUON_LINE_COLUMNS) != 0u;
    uint row = i / cols;
    uint col = i - row * cols;
    vec4 x;
    for (uint k = 0u; k < 4u; ++k) {
        x[k] = factors.v[columns ? col : row];
        bool wraps = col + 1u == cols;
        row += uint(wraps && i + k + 1u < count); // not beyond the last row
        col = wraps ? 0u : col + 1u;
    }
    if ((flags & MUON_LINE_DIVIDE) == 0u)
        return x;
    vec4 divisor = p.jobs.job[j].line_scale * x + p.jobs.job[j].line_eps;
    bvec4 divides = greaterThanEqual(divisor, vec4(1.17549435e-38));
    return mix(vec4(0.0), 1.0 / mix(vec4(1.0), divisor, divides), divides);
}
#endif

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
    U32x4 direction = p.jobs.job[j].direction;
    uint direction_first = p.jobs.job[j].direction_first;
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    MuonHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float scale = lr;
#ifndef LINES
    if ((FLAGS & MUON_RATED) != 0u) {
        F32 rate = p.jobs.job[j].line_factors;
        lr = rate.v[0];
        scale = 1.0;
    }
#endif
    float decay = matrix_decay(j, lr, h.weight_decay, flags);
    scale = clamp_finite(scale * p.jobs.job[j].shape_factor);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 w = load_weight(i, valid);
        uint at = direction_first + 4u * q;
        vec4 o = load_quad(direction, at, valid, is_wide(0u, at, valid), DIRECTION_DTYPE);
#ifdef LINES
        o *= line_quad(j, 4u * q, count);
#endif
        if ((flags & MUON_SIGN) != 0u)
            o = sign(o);
        update_weight(i, valid, decayed(w, o, decay, flags), decayed_update(scale * o, decay, flags));
    }
}
