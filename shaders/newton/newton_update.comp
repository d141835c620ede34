// SPDX-License-Identifier: MIT
// weights + alpha direction + momentum velocity, pairs of neighbouring elements. Whoever writes an element has read it.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/status.h"
#include "newton/newton.h"

#define JOB NewtonUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of the weights
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of the result
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1;   // pairs

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 weights = p.jobs.job[j].weights;
    F32 direction = p.jobs.job[j].direction;
    F32 alphas = p.jobs.job[j].alpha;
    F32 velocity = p.jobs.job[j].velocity;
    U32 status = p.jobs.job[j].status;
    U32 result = p.jobs.job[j].result;
    uint count = p.jobs.job[j].count;
    uint flags = p.jobs.job[j].flags;
    float momentum = p.jobs.job[j].momentum;
    bool stays = false;
    if ((flags & NEWTON_HAS_STATUS) != 0u)
        stays = status.v[0] != STATUS_OK && status.v[0] != STATUS_JITTERED;
    float alpha = alphas.v[0];
    for (uint pair = 0; pair < PER_THREAD; ++pair) {
        uint i = 2u * ((group * PER_THREAD + pair) * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
        if (i >= count)
            return;
        uint i1 = min(i + 1u, count - 1u);
        vec2 w = vec2(load(weights, i, DTYPE_A), load(weights, i1, DTYPE_A));
        if (!stays) {
            vec2 change = alpha * vec2(direction.v[i], direction.v[i1]);
            if ((flags & NEWTON_HAS_VELOCITY) != 0u) {
                change += momentum * vec2(velocity.v[i], velocity.v[i1]);
                velocity.v[i] = change.x;
                if (i + 1u < count)
                    velocity.v[i + 1u] = change.y;
            }
            w += change;
        }
        if (i + 1u < count)
            store_pair(result, i, w, DTYPE_D);
        else
            store(result, i, w.x, DTYPE_D);
    }
}
