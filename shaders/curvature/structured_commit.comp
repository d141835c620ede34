// SPDX-License-Identifier: MIT
// The step of structured factors, all of them in one dispatch:
//
//   m <- candidate,   K <- K - beta K m      beta = rate, or rate / max(1, largest |m|) (STRUCTURED_NORMALIZE)
//
// A candidate that is not finite, or out of all bounds, leaves both as they are, and is counted. An invocation has two
// elements in each round.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/structured.h"

#define JOB StructuredCommitJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "curvature/elements.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

float limited(float x) { return clamp(clamp_finite(x), -LARGEST_FACTOR, LARGEST_FACTOR); }

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint flags = p.jobs.job[j].flags;
    F32 maxima = p.jobs.job[j].maxima;
    uint maxima_count = p.jobs.job[j].maxima_count;
    uint bits = 0u;
    for (uint i = 0u; i < maxima_count; ++i)
        bits = max(bits, floatBitsToUint(maxima.v[i]));
    if (bits > LARGEST_MOMENTUM_BITS) {
        if (group == p.jobs.job[j].first_group && gl_LocalInvocationID.x == 0u) {
            U32 failures = p.jobs.job[j].failures;
            failures.v[0] += uint(failures.v[0] != 0xffffffffu);
        }
        return;
    }
    F32 rate = p.jobs.job[j].rate;
    float beta = rate.v[0];
    if ((flags & STRUCTURED_NORMALIZE) != 0u)
        beta /= max(1.0, uintBitsToFloat(bits));
    uint stored = p.jobs.job[j].stored;
    uint rounds = p.jobs.job[j].rounds;
    U32 k = p.jobs.job[j].k;
    U32 momentum = p.jobs.job[j].momentum;
    F32 candidate = p.jobs.job[j].candidate;
    F32 product = p.jobs.job[j].product;
    for (uint r = 0u; r < rounds; ++r) {
        uint e = 2u * element_at(j, group, r);
        if (e >= stored)
            break;
        bool pair = e + 1u < stored;
        uint next = pair ? e + 1u : e;
        vec2 moved = vec2(limited(load(k, e, DTYPE_A) - clamp_finite(beta * product.v[e])),
                          limited(load(k, next, DTYPE_A) - clamp_finite(beta * product.v[next])));
        vec2 m = vec2(limited(candidate.v[e]), limited(candidate.v[next]));
        if (pair)
            store_pair(k, e, moved, DTYPE_A);
        else
            store(k, e, moved.x, DTYPE_A);
        if ((flags & STRUCTURED_HAS_MOMENTUM) != 0u) {
            if (pair)
                store_pair(momentum, e, m, DTYPE_A);
            else
                store(momentum, e, m.x, DTYPE_A);
        }
    }
}
