// SPDX-License-Identifier: MIT
// Where a matrix B is nearly diagonal, |B without its diagonal| <= tolerance |B|, another one keeps its old elements:
// result <- kept. All matrices in one dispatch. A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerKeepJob
#include "core/kernel.glsl"
#include "curvature/elements.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 off_diagonal = p.jobs.job[j].off_diagonal;
    F32 whole = p.jobs.job[j].whole;
    if (off_diagonal.v[0] > p.jobs.job[j].tolerance * whole.v[0])
        return;
    uint order = p.jobs.job[j].order;
    uint rounds = p.jobs.job[j].rounds;
    uint count = order * order;
    F32 kept = p.jobs.job[j].kept;
    F32 result = p.jobs.job[j].result;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        result.v[i] = kept.v[i];
    }
}
