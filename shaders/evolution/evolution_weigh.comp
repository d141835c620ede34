// SPDX-License-Identifier: MIT
// The noise as a gradient sums it up: times the difference that its pair makes, or its signs; or those differences
// alone.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "evolution/evolution.h"

#define JOB EvolutionWeighJob
#include "core/kernel.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1; // elements

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 noise = p.jobs.job[j].noise;
    F32 fitness = p.jobs.job[j].fitness;
    F32 result = p.jobs.job[j].result;
    uint pair_size = p.jobs.job[j].pair;
    uint flags = p.jobs.job[j].flags;
    for (uint k = 0; k < PER_THREAD; ++k) {
        uint i = (group * PER_THREAD + k) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (i >= p.jobs.job[j].count)
            return;
        float value = 1.0;
        if ((flags & EVOLUTION_NUMBERS) == 0u) {
            value = noise.v[i];
            if ((flags & EVOLUTION_SIGNS) != 0u)
                value = value > 0.0 ? 1.0 : value < 0.0 ? -1.0 : value; // zero and NaN stay
        }
        if ((flags & (EVOLUTION_WEIGH | EVOLUTION_NUMBERS)) != 0u) {
            uint pair = i / pair_size;
            value *= fitness.v[2u * pair] - fitness.v[2u * pair + 1u];
        }
        result.v[i] = value;
    }
}
