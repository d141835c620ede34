// SPDX-License-Identifier: MIT
// The last two columns of W: d x and v / d, or 0; all parameters in one dispatch. A workgroup takes rounds x workgroup
// size rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd_lra.h"

#define JOB PsgdLraColumnsJob
#include "core/kernel.glsl"
#include "core/half.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    uint rank = p.jobs.job[j].rank;
    uint flags = p.jobs.job[j].flags;
    uint begin = (group - p.jobs.job[j].first_group) * rounds * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    F32 d = p.jobs.job[j].d;
    F32 x = p.jobs.job[j].x;
    F32 v = p.jobs.job[j].v;
    F32 w = p.jobs.job[j].w;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = begin + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        float scale = d.v[i];
        float probe = 0.0;
        if ((flags & LRA_PROBE) != 0u)
            probe = clamp_finite(v.v[i] / scale);
        w.v[i * (2u * rank + 2u) + 2u * rank] = clamp_finite(scale * x.v[i]);
        w.v[i * (2u * rank + 2u) + 2u * rank + 1u] = probe;
    }
}
