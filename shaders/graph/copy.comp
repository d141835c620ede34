// SPDX-License-Identifier: MIT
// Copies 32-bit words between two addresses: how states and parameters of which only the address is known reach the host.
//
// Grid: one workgroup per COPY_WORDS_PER_GROUP words.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "graph/copy.h"
#define JOB CopyJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 from = p.jobs.job[j].from;
    U32 to = p.jobs.job[j].to;
    uint begin = (group - p.jobs.job[j].first_group) * COPY_WORDS_PER_GROUP;
    uint end = min(begin + COPY_WORDS_PER_GROUP, p.jobs.job[j].words);
    for (uint i = begin + gl_LocalInvocationID.x; i < end; i += gl_WorkGroupSize.x)
        to.v[i] = from.v[i];
}
