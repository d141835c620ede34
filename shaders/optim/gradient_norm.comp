// SPDX-License-Identifier: MIT
// Sums of the squares of gradients, all blocks of all parameters in one dispatch, three floats a workgroup (Blue's
// accumulators) in a fixed order. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/scaled_gradient.h"

#define JOB GradientNormJob
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

    vec3 sums = vec3(0.0);
    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        vec4 g = load_gradient(first + 4u * q, min(4u, count - 4u * q));
        for (uint k = 0u; k < 4u; ++k)
            blue_add(sums, g[k]); // components beyond the end are zero
    }
    sums = workgroup_sum(sums);
    if (gl_LocalInvocationID.x == 0u) {
        F32 partials = p.jobs.job[j].partials;
        uint w = 3u * (group - p.jobs.job[j].first_group);
        partials.v[w] = sums.x;
        partials.v[w + 1u] = sums.y;
        partials.v[w + 2u] = sums.z;
    }
}
