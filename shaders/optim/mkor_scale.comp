// SPDX-License-Identifier: MIT
// Gives directions D of layers the size of their gradients, in place, all layers in one dispatch:
//
//   D <- r D,   r = (|G| + |g_b|) / (|D_W| + |D_b|)
//
// In first-order steps, and where r or D is not a number, D becomes the gradient. Every workgroup combines the partial
// sums of mkor_norms.comp by itself, in the same order. One workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mkor.h"

#define JOB MkorScaleJob
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
    uint partial_count = p.jobs.job[j].partial_count;
    uint rounds = p.jobs.job[j].rounds;
    F32 gradient = p.jobs.job[j].gradient;
    F32 direction = p.jobs.job[j].direction;
    F32 partials = p.jobs.job[j].partials;
    MkorHyperRef hyper = p.jobs.job[j].hyper;
    vec4 norms; // |G|, |g_b|, |D_W|, |D_b|
    for (uint part = 0u; part < 4u; ++part) {
        vec3 sums = vec3(0.0);
        for (uint k = lane; k < partial_count; k += gl_WorkGroupSize.x) {
            uint at = k * MKOR_NORM_WORDS + 3u * part;
            sums = blue_combine(sums, vec3(partials.v[at], partials.v[at + 1u], partials.v[at + 2u]));
        }
        norms[part] = blue_norm(workgroup_sum(sums));
    }
    float size = norms.z + norms.w;
    float ratio = (norms.x + norms.y) / size;
    bool first_order = hyper.h.second_order == 0.0 || is_nonfinite(ratio) || is_nonfinite(size) || size == 0.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = (group * rounds + r) * gl_WorkGroupSize.x + lane;
        if (i >= count)
            break;
        direction.v[i] = first_order ? gradient.v[i] : ratio * direction.v[i];
    }
}
