// SPDX-License-Identifier: MIT
// AdaMuon's second moment of the polar factor O, all blocks of all parameters in one dispatch:
//
//   V <- V + rate (O^2 - V)
//
// and the sums of squares of P = O / (sqrt(V) + eps), one float a workgroup. No sum overflows: |O| is at most about
// 1.2, |P| at most 1 / sqrt(rate). One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/adamuon.h"

#define JOB AdaMuonMomentJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/adamuon.glsl"

layout(constant_id = SPEC_DTYPE_D) const uint DIRECTION_DTYPE = DTYPE_F32;

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
    U32x4 direction = p.jobs.job[j].direction;
    F32x4 moment2 = p.jobs.job[j].moment2;
    float rate = p.jobs.job[j].rate;
    float eps = p.jobs.job[j].eps;

    float sum = 0.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 o = load_quad(direction, 4u * q, valid, is_wide(0u, 4u * q, valid), DIRECTION_DTYPE);
        vec4 v = load_state(moment2, i, valid);
        v = v + rate * (o * o - v);
        store_state(moment2, i, valid, v);
        vec4 x = adamuon_direction(o, v, eps);
        sum += dot(x, x); // components beyond `valid` are zero
    }
    sum = workgroup_sum(vec3(sum, 0.0, 0.0)).x;
    if (gl_LocalInvocationID.x == 0u) {
        F32 partials = p.jobs.job[j].partials;
        partials.v[group - p.jobs.job[j].first_group] = sum;
    }
}
