// SPDX-License-Identifier: MIT
// Matrices over one damping or two, in place, all of them in one dispatch. A workgroup takes rounds x workgroup size
// elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerUnlevelJob
#include "core/kernel.glsl"
#include "curvature/elements.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    uint flags = p.jobs.job[j].flags;
    F32 matrix = p.jobs.job[j].matrix;
    F32 level0 = p.jobs.job[j].level0;
    F32 level1 = p.jobs.job[j].level1;
    float first = (flags & KRONECKER_LEVEL) != 0u ? level0.v[0] : 1.0;
    float second = (flags & KRONECKER_LEVEL_TOO) != 0u ? level1.v[0] : 1.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        matrix.v[i] = (matrix.v[i] / first) / second;
    }
}
