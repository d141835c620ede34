// SPDX-License-Identifier: MIT
// Gradients in f32 units of their own size, so that products of them neither overflow nor vanish; all blocks in one
// dispatch:
//
//   unit = 2^e, the power of two below |G|_F (1 where G is zero);   scaled = G / unit, exact
//
// Every workgroup combines its block's partial sums of squares (gradient_norm.comp) by itself, in the same order. One
// workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/scaled_gradient.h"

#define JOB ScaledGradientJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"

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
    F32x4 scaled = p.jobs.job[j].scaled;

    F32 partials = p.jobs.job[j].partials;
    uint partial_count = p.jobs.job[j].partial_count;
    vec3 sums = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < partial_count; k += gl_WorkGroupSize.x)
        sums = blue_combine(sums, vec3(partials.v[3u * k], partials.v[3u * k + 1u], partials.v[3u * k + 2u]));
    float norm = blue_norm(workgroup_sum(sums));
    // The exponent alone; its reciprocal has to be a normal number, too.
    uint exponent = clamp(floatBitsToUint(norm) >> 23, 1u, 253u);
    if (norm == 0.0)
        exponent = 127u;
    float inverse = uintBitsToFloat((254u - exponent) << 23);
    if (group == p.jobs.job[j].first_group && gl_LocalInvocationID.x == 0u) {
        F32 unit = p.jobs.job[j].unit;
        unit.v[0] = uintBitsToFloat(exponent << 23);
    }

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        store_state(scaled, 4u * q, valid, load_gradient(first + 4u * q, valid) * inverse);
    }
}
