// SPDX-License-Identifier: MIT
// y = x / |G|_F, and 0 where G is zero, all matrices in one dispatch. One workgroup takes rounds x workgroup size
// quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/subspace_descent.h"

#define JOB SubspaceUnitJob
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
    F32x4 from = p.jobs.job[j].from;
    F32x4 to = p.jobs.job[j].to;
    F32 norms = p.jobs.job[j].norms;
    uint item_elements = p.jobs.job[j].item_elements;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        vec4 x = load_state(from, 4u * q, valid);
        for (uint k = 0u; k < valid; ++k) {
            float norm = norms.v[(4u * q + k) / item_elements];
            bool divides = norm >= 1.17549435e-38;
            x[k] = divides ? x[k] / (divides ? norm : 1.0) : 0.0;
        }
        store_state(to, 4u * q, valid, x);
    }
}
