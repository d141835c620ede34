// SPDX-License-Identifier: MIT
// What a step takes in, all tensors in one dispatch: the gradient added to a sum, averaged into one, or copied as the
// step sees it (scaled and clipped, in f32) for the products that follow.
//
//   S <- S + G, or S + rate1 (G - S);  copy = G
//
// S may be kept in bf16: then exact = S before it is rounded, too. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/subspace.h"

#define JOB GradientSumJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/moment.glsl"

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
    U32x4 sum = p.jobs.job[j].sum.quads;
    U32 sum_words = p.jobs.job[j].sum.words;
    uint parameter = p.jobs.job[j].sum.parameter;
    F32x4 exact = p.jobs.job[j].exact;
    F32x4 copy = p.jobs.job[j].copy;
    AdamWHyperRef hyper = p.jobs.job[j].hyper;
    float rate = (flags & SUM_EMA) != 0u ? hyper.h.rate1 : 1.0;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 g = load_gradient(i, valid);
        if ((flags & (SUM_PLAIN | SUM_EMA)) != 0u) {
            vec4 s = load_moment(sum, i, valid);
            vec4 change = (flags & SUM_EMA) != 0u ? rate * (g - s) : g;
            store_moment(sum, sum_words, i, valid, s + change, moment_draws(parameter, i));
            if ((flags & SUM_EXACT) != 0u)
                store_state(exact, 4u * q, valid, s + change);
        }
        if ((flags & SUM_COPY) != 0u)
            store_state(copy, 4u * q, valid, g);
    }
}
