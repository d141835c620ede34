// SPDX-License-Identifier: MIT
// w + s sigma z of both members of a pair, one element an invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "evolution/evolution.h"

#define JOB EvolutionCopyJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of w
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1;   // elements

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 w = p.jobs.job[j].w;
    F32 noise = p.jobs.job[j].noise;
    F32 members = p.jobs.job[j].members;
    uint count = p.jobs.job[j].count;
    uint groups = p.jobs.job[j].groups;
    float sigma = p.jobs.job[j].sigma;
    uint pair = group / groups;
    for (uint k = 0; k < PER_THREAD; ++k) {
        uint i = (group % groups * PER_THREAD + k) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (i >= count)
            return;
        float value = load(w, i, DTYPE_A), change = sigma * noise.v[pair * count + i];
        members.v[2u * pair * count + i] = value + change;
        members.v[(2u * pair + 1u) * count + i] = value - change;
    }
}
