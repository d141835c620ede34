// SPDX-License-Identifier: MIT
// Sums of D G over all elements of all layers, in a fixed order, one float a workgroup; D and G as they are kept (over
// LAYER_UNIT). One dispatch. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/layer.h"

#define JOB LayerDotJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "optim/parameter.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    F32x4 direction = p.jobs.job[j].direction;
    F32x4 gradient = p.jobs.job[j].gradient;
    float sum = 0.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        sum += dot(load_state(direction, 4u * q, valid), load_state(gradient, 4u * q, valid));
    }
    sum = workgroup_sum(vec3(sum, 0.0, 0.0)).x;
    if (gl_LocalInvocationID.x == 0u) {
        F32 partials = p.jobs.job[j].partials;
        partials.v[group - p.jobs.job[j].first_group] = sum;
    }
}
