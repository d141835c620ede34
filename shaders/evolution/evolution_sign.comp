// SPDX-License-Identifier: MIT
// The signs of the members, and a scale.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "evolution/evolution.h"

#define JOB EvolutionSignJob
#include "core/kernel.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1; // elements

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 from = p.jobs.job[j].from;
    F32 x = p.jobs.job[j].x;
    bool both = (p.jobs.job[j].flags & EVOLUTION_SHARED) != 0u;
    uint member = p.jobs.job[j].member;
    float scale = p.jobs.job[j].scale;
    for (uint k = 0; k < PER_THREAD; ++k) {
        uint i = (group * PER_THREAD + k) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (i >= p.jobs.job[j].count)
            return;
        uint of = i / member;
        float value = from.v[both ? of / 2u * member + i % member : i];
        x.v[i] = value * ((of & 1u) == 0u ? scale : -scale);
    }
}
