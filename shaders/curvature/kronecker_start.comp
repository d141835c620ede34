// SPDX-License-Identifier: MIT
// Before the first step: whiteners are the identity, averages the identity or zero.
// A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerStartJob
#include "core/kernel.glsl"
#include "curvature/elements.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    uint rounds = p.jobs.job[j].rounds;
    uint count = order * order;
    F32 average = p.jobs.job[j].average;
    F32 whitener = p.jobs.job[j].whitener;
    float start = p.jobs.job[j].diagonal;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        bool diagonal = on_diagonal(i, order);
        average.v[i] = diagonal ? start : 0.0;
        whitener.v[i] = diagonal ? 1.0 : 0.0;
    }
}
