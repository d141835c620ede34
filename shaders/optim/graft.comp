// SPDX-License-Identifier: MIT
// Grafting, all blocks of all parameters in one dispatch: D <- D wanted / norm, zero where the norm is zero.
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/graft.h"

#define JOB GraftJob
#include "core/kernel.glsl"
#include "core/half.glsl"
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
    F32x4 update = p.jobs.job[j].update;
    F32 norms = p.jobs.job[j].norm;
    F32 wanted = p.jobs.job[j].wanted;
    float norm = norms.v[0];
    float size = clamp_finite(wanted.v[0]);

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        vec4 d = load_state(update, 4u * q, valid);
        // The quotient is at most 1, whatever the sizes.
        vec4 share = norm > 0.0 ? d / norm : vec4(0.0);
        store_state(update, 4u * q, valid, share * size);
    }
}
