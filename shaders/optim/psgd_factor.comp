// SPDX-License-Identifier: MIT
// Changes of factors, all of them in one dispatch; c, s: the factor's scalars, A, B, C: products.
//
//   Q - c A + s Q                      (PSGD_HALF: with c / 2 and s / 2); PSGD_SYMMETRIC: its symmetric part
//   Q + r1 A + r2 B + r3 C             (PSGD_ROTATION)
//   q (1 - c (A - B) + s), diagonal    (PSGD_SQUARE: times the square of that with c / 2, or c)
//
// PSGD_SKEW: and R = Q^T - Q of the new one. A workgroup takes a tile of TILE x TILE elements, or TILE^2 of a diagonal.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdFactorJob
#include "core/kernel.glsl"
#include "core/half.glsl"

const uint TILE = 16;

F32 factor_q, factor_a, factor_b, factor_c;
float c1, c2, c3, shift;
uint flags;

float changed(uint i) {
    float q = factor_q.v[i];
    if ((flags & PSGD_ROTATION) != 0u) {
        if (c1 == 0.0)
            return q;
        float x = q + c1 * factor_a.v[i] + c2 * factor_b.v[i];
        if ((flags & PSGD_CUBIC) != 0u)
            x += c3 * factor_c.v[i];
        return clamp_finite(x);
    }
    return clamp_finite(q - (c1 * factor_a.v[i] - shift * q));
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint order = p.jobs.job[j].order;
    flags = p.jobs.job[j].flags;
    factor_q = p.jobs.job[j].q;
    factor_a = p.jobs.job[j].first;
    factor_b = p.jobs.job[j].second;
    factor_c = p.jobs.job[j].third;
    F32 to = p.jobs.job[j].to;
    F32 skew = p.jobs.job[j].skew;
    F32 scalars = p.jobs.job[j].scalars;
    bool good = scalars.v[PSGD_FACTOR_GOOD] != 0.0;
    if (!good && (flags & PSGD_TEMPORARY) == 0u)
        return;
    bool rotates = (flags & PSGD_ROTATION) != 0u;
    c1 = scalars.v[rotates ? PSGD_FACTOR_ROTATION : PSGD_FACTOR_CHANGE];
    c2 = scalars.v[PSGD_FACTOR_ROTATION + 1u];
    c3 = scalars.v[PSGD_FACTOR_ROTATION + 2u];
    shift = scalars.v[PSGD_FACTOR_SHIFT];
    if ((flags & PSGD_HALF) != 0u) {
        c1 *= 0.5;
        shift *= 0.5;
    }
    if ((flags & PSGD_DIAGONAL) != 0u) {
        float t2 = p.jobs.job[j].shift;
        for (uint i = gl_LocalInvocationID.x; i < TILE * TILE; i += gl_WorkGroupSize.x) {
            uint at = group * TILE * TILE + i;
            if (at >= order)
                break;
            float q = factor_q.v[at];
            float e = factor_a.v[at];
            if ((flags & PSGD_SUM) != 0u)
                e -= factor_b.v[at];
            else
                e -= (flags & PSGD_OWN) != 0u ? t2 * q * q : t2;
            float gain = 1.0 - c1 * e;
            to.v[at] = clamp_finite((flags & PSGD_SQUARE) != 0u ? gain * (gain * q) : q - c1 * e * q);
        }
        return;
    }
    uint side = (order + TILE - 1u) / TILE;
    uvec2 first = TILE * uvec2(group / side, group % side);
    for (uint i = gl_LocalInvocationID.x; i < TILE * TILE; i += gl_WorkGroupSize.x) {
        uvec2 at = first + uvec2(i / TILE, i % TILE);
        if (at.x >= order || at.y >= order)
            continue;
        uint here = at.x * order + at.y;
        uint there = at.y * order + at.x;
        float value = factor_q.v[here];
        float turned = factor_q.v[there];
        if (good) {
            value = changed(here);
            if ((flags & (PSGD_SYMMETRIC | PSGD_SKEW)) != 0u)
                turned = changed(there);
        }
        if ((flags & PSGD_SYMMETRIC) != 0u)
            value = 0.5 * value + 0.5 * turned;
        to.v[here] = value;
        if ((flags & PSGD_SKEW) != 0u)
            skew.v[here] = turned - value;
    }
}
