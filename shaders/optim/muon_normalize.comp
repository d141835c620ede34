// SPDX-License-Identifier: MIT
// The first iterate of Muon's orthogonalization, all blocks in one dispatch: X = U / nu, U formed again from M and G.
//
//   nu = factor |U| + eps, or max(factor |U|, eps); a zero block gives zero
//
// STATELESS (a macro): as in muon_momentum.comp.
//
// Every workgroup combines its block's partial sums of squares by itself, in the same order. One workgroup takes
// rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/muon.h"

#define JOB MuonNormalizeJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/moment.glsl"
#include "optim/muon_direction.glsl"

layout(constant_id = SPEC_DTYPE_D) const uint ITERATE_DTYPE = DTYPE_F32;

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
    begin_gradient(j);
    uint flags = p.jobs.job[j].flags;
#ifndef STATELESS
    U32x4 momentum = p.jobs.job[j].momentum.quads;
#endif
    U32x4 iterate = p.jobs.job[j].iterate;
    MuonHyperRef hyper = p.jobs.job[j].hyper;
    MuonHyper h = hyper.h;

    F32 partials = p.jobs.job[j].partials;
    uint partial_count = p.jobs.job[j].partial_count;
    vec3 sums = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < partial_count; k += gl_WorkGroupSize.x)
        sums = blue_combine(sums, vec3(partials.v[3u * k], partials.v[3u * k + 1u], partials.v[3u * k + 2u]));
    float norm = p.jobs.job[j].norm_factor * blue_norm(workgroup_sum(sums));
    float eps = p.jobs.job[j].eps;
    float nu = (flags & MUON_CLAMPED) != 0u ? max(norm, eps) : norm + eps;
    nu = nu > 0.0 ? nu : 1.0;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 g = load_gradient(i, valid);
#ifdef STATELESS
        vec4 m = h.rate * g;
#else
        vec4 m = load_moment(momentum, i, valid);
#endif
        vec4 u = muon_direction(m, g, h.momentum, h.rate, flags);
        store_temporary(iterate, 4u * q, valid, u / nu, ITERATE_DTYPE);
    }
}
