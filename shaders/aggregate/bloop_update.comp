// SPDX-License-Identifier: MIT
// Averages and directions of Bloop and its relatives (heron/aggregate.hpp has the formulas), pairs of neighbouring
// elements: one an invocation on GPUs, several on CPU drivers. The direction may be where a gradient is: whoever writes
// an element has read it.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "aggregate/bloop.h"

#define JOB BloopUpdateJob
#include "aggregate/bloop.glsl"
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of the main gradient
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32; // of the auxiliary one
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of the direction
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1;   // pairs

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 main_gradient = p.jobs.job[j].main;
    U32 auxiliary = p.jobs.job[j].auxiliary;
    F32 average = p.jobs.job[j].average;
    F32 auxiliary_average = p.jobs.job[j].auxiliary_average;
    U32 found = p.jobs.job[j].found;
    U32 direction = p.jobs.job[j].direction;
    uint count = p.jobs.job[j].count;
    uint flags = p.jobs.job[j].flags;
    float keep = p.jobs.job[j].keep;
    float take = p.jobs.job[j].take;
    float lambda = p.jobs.job[j].lambda;
    float scale = p.jobs.job[j].scale;
    uint known = (flags & BLOOP_PLAIN) == 0u ? 1u : 0u; // whether there are such words
    bool projects = known != 0u && found.v[known * BLOOP_FINITE] != 0u;
    float ratio = uintBitsToFloat(found.v[known * BLOOP_RATIO]);
    float auxiliary_ratio = uintBitsToFloat(found.v[known * BLOOP_AUXILIARY_RATIO]);
    bool first = found.v[known * BLOOP_FIRST] != 0u;
    for (uint pair = 0; pair < PER_THREAD; ++pair) {
        uint i = 2u * ((group * PER_THREAD + pair) * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
        if (i >= count)
            return;
        uint i1 = min(i + 1u, count - 1u);
        vec2 g = vec2(load(main_gradient, i, DTYPE_A), load(main_gradient, i1, DTYPE_A));
        vec2 b = vec2(load(auxiliary, i, DTYPE_B), load(auxiliary, i1, DTYPE_B));
        vec2 result = g + lambda * b;
        if (projects) {
            vec2 e = first ? g : vec2(average.v[i], average.v[i1]);
            e = vec2(bloop_average(e.x, g.x, keep, take), bloop_average(e.y, g.y, keep, take));
            average.v[i] = e.x;
            if (i + 1u < count)
                average.v[i + 1u] = e.y;
            if ((flags & BLOOP_RATIO_ONLY) != 0u) {
                result = (1.0 - lambda * ratio) * g + lambda * b;
            } else {
                vec2 kept = g;
                if ((flags & BLOOP_TWO_AVERAGES) != 0u) {
                    vec2 f = first ? g : vec2(auxiliary_average.v[i], auxiliary_average.v[i1]);
                    f = vec2(bloop_average(f.x, b.x, keep, take), bloop_average(f.y, b.y, keep, take));
                    auxiliary_average.v[i] = f.x;
                    if (i + 1u < count)
                        auxiliary_average.v[i + 1u] = f.y;
                    kept -= auxiliary_ratio * f;
                }
                result = kept + lambda * (b - ratio * e);
            }
        }
        result *= scale;
        if (i + 1u < count)
            store_pair(direction, i, result, DTYPE_D);
        else
            store(direction, i, result.x, DTYPE_D);
    }
}
