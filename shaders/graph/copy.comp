// SPDX-License-Identifier: MIT
// Copies memory between two addresses: how states and parameters of which only the address is known reach the host.
//
// Grid: one workgroup per COPY_QUADS_PER_GROUP groups of four words; the last one copies the single words too.
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
    U32x4 from = p.jobs.job[j].from;
    U32x4 to = p.jobs.job[j].to;
    uint quads = p.jobs.job[j].quads;
    uint begin = (group - p.jobs.job[j].first_group) * COPY_QUADS_PER_GROUP;
    uint end = min(begin + COPY_QUADS_PER_GROUP, quads);
    for (uint i = begin + gl_LocalInvocationID.x; i < end; i += gl_WorkGroupSize.x)
        to.v[i] = from.v[i];

    if (begin + COPY_QUADS_PER_GROUP >= quads) {
        U32 from_words = p.jobs.job[j].from_words;
        U32 to_words = p.jobs.job[j].to_words;
        uint words = p.jobs.job[j].words;
        for (uint i = gl_LocalInvocationID.x; i < words; i += gl_WorkGroupSize.x)
            to_words.v[4 * quads + i] = from_words.v[4 * quads + i];
    }
}
