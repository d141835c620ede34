// SPDX-License-Identifier: MIT
// First U and V of all parameters, in one dispatch: normal numbers, scaled to norms of sqrt(0.1). A workgroup takes
// rounds x workgroup size elements of U.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd_lra.h"

#define JOB PsgdLraStartJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint rank = p.jobs.job[j].rank;
    uint count = p.jobs.job[j].rows * rank;
    uint rounds = p.jobs.job[j].rounds;
    uint begin = (group - p.jobs.job[j].first_group) * rounds * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    F32 u = p.jobs.job[j].u;
    F32 v = p.jobs.job[j].v;
    F32 norms = p.jobs.job[j].norms;
    F32 w = p.jobs.job[j].w;
    float scale_u = 0.316227766 / max(norms.v[0], 1.17549435e-38);
    float scale_v = 0.316227766 / max(norms.v[1], 1.17549435e-38);
    for (uint r = 0u; r < rounds; ++r) {
        uint i = begin + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        uint row = i / rank;
        uint at = row * (2u * rank + 2u) + i - row * rank;
        w.v[at] = scale_u * u.v[i];
        w.v[at + rank] = scale_v * v.v[i];
    }
}
