// SPDX-License-Identifier: MIT
// Squares, in place, of many matrices in one dispatch. A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerSquareJob
#include "core/kernel.glsl"
#include "curvature/elements.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    F32 values = p.jobs.job[j].values;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        float x = values.v[i];
        values.v[i] = x * x;
    }
}
