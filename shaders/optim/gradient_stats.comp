// SPDX-License-Identifier: MIT
// Norm and non-finite count of all gradients, one partial result a workgroup; the advance kernel combines them.
//
// Squares go into Blue's three sums (core/reduce.glsl); non-finite elements are counted, by their bits, and left out of
// the sums. One workgroup takes rounds x workgroup size quads. The order of all sums is fixed.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/gradient_stats.h"

#define JOB GradientStatsJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"

shared uint shared_counts[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint lane = gl_LocalInvocationID.x;
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_gradient(j);

    vec3 sums = vec3(0.0);
    uint nonfinite = 0u;
    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        vec4 g = load_raw_gradient(4u * q, min(4u, count - 4u * q));
        for (uint k = 0u; k < 4u; ++k) {
            if (is_nonfinite(g[k]))
                ++nonfinite;
            else
                blue_add(sums, g[k]);
        }
    }
    sums = workgroup_sum(sums);
    shared_counts[lane] = nonfinite;
    barrier();
    if (lane == 0u) {
        nonfinite = 0u;
        for (uint k = 0u; k < gl_WorkGroupSize.x; ++k)
            nonfinite += shared_counts[k];
        F32 partials = p.jobs.job[j].partials;
        uint w = 4u * (group - p.jobs.job[j].first_group);
        partials.v[w] = sums.x;
        partials.v[w + 1u] = sums.y;
        partials.v[w + 2u] = sums.z;
        partials.v[w + 3u] = uintBitsToFloat(nonfinite);
    }
}
