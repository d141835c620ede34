// SPDX-License-Identifier: MIT
// Partial sums of squares of gradients and directions of layers, of weights (columns below `features`) and biases
// apart; all layers in one dispatch. One workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mkor.h"

#define JOB MkorNormsJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint lane = gl_LocalInvocationID.x;
    uint count = p.jobs.job[j].count;
    uint columns = p.jobs.job[j].columns;
    uint features = p.jobs.job[j].features;
    uint rounds = p.jobs.job[j].rounds;
    F32 gradient = p.jobs.job[j].gradient;
    F32 direction = p.jobs.job[j].direction;
    vec3 g_weight = vec3(0.0), g_bias = vec3(0.0), d_weight = vec3(0.0), d_bias = vec3(0.0);
    for (uint r = 0u; r < rounds; ++r) {
        uint i = (group * rounds + r) * gl_WorkGroupSize.x + lane;
        if (i >= count)
            break;
        if (i % columns < features) {
            blue_add(g_weight, gradient.v[i]);
            blue_add(d_weight, direction.v[i]);
        } else {
            blue_add(g_bias, gradient.v[i]);
            blue_add(d_bias, direction.v[i]);
        }
    }
    g_weight = workgroup_sum(g_weight);
    g_bias = workgroup_sum(g_bias);
    d_weight = workgroup_sum(d_weight);
    d_bias = workgroup_sum(d_bias);
    if (lane == 0u) {
        F32 partials = p.jobs.job[j].partials;
        uint at = group * MKOR_NORM_WORDS;
        for (uint k = 0u; k < 3u; ++k) {
            partials.v[at + k] = g_weight[k];
            partials.v[at + 3u + k] = g_bias[k];
            partials.v[at + 6u + k] = d_weight[k];
            partials.v[at + 9u + k] = d_bias[k];
        }
    }
}
