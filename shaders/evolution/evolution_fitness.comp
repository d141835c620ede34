// SPDX-License-Identifier: MIT
// What scores are worth; one workgroup. Means and variances in two passes.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "evolution/evolution.h"

#define JOB EvolutionFitnessJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

// (mean, population variance) of scores [first, first + size).
vec2 moments(F32 scores, uint first, uint size) {
    float sum = 0.0, squares = 0.0;
    for (uint i = 0; i < size; ++i)
        sum += scores.v[first + min(i, size - 1u)];
    float mean = sum / float(size);
    for (uint i = 0; i < size; ++i) {
        float off = scores.v[first + min(i, size - 1u)] - mean;
        squares += off * off;
    }
    return vec2(mean, squares / float(size));
}

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 scores = p.jobs.job[j].scores;
    F32 fitness = p.jobs.job[j].fitness;
    F32 scales = p.jobs.job[j].scales;
    uint count = p.jobs.job[j].count;
    uint group = p.jobs.job[j].group;
    uint t = gl_LocalInvocationID.x, threads = gl_WorkGroupSize.x;
    uint groups = group == 0u ? 1u : count / max(group, 1u);
    bool baseline = (p.jobs.job[j].flags & EVOLUTION_BASELINE) != 0u;

    float mean = 0.0, scale = 1.0;
    if (!baseline) {
        vec3 sum = vec3(0.0);
        for (uint i = t; i < count; i += threads)
            sum.x += scores.v[min(i, count - 1u)];
        mean = workgroup_sum(sum).x / float(count);
        sum = vec3(0.0);
        for (uint i = t; i < count; i += threads) {
            float off = scores.v[min(i, count - 1u)] - mean;
            sum.x += off * off;
        }
        scale = 1.0 / sqrt(workgroup_sum(sum).x / float(count) + 1e-5);
    }
    // Of each group the mean, or one over its standard deviation.
    for (uint g = t; group != 0u && g < groups; g += threads) {
        vec2 found = moments(scores, min(g, groups - 1u) * group, group);
        scales.v[g] = baseline ? 1.0 / ((found.y > 0.0 ? sqrt(found.y) : found.y) + 1e-8) : found.x;
    }
    memoryBarrierBuffer();
    barrier();
    uint members = baseline ? group : count;
    for (uint i = t; i < members; i += threads) {
        float result = 0.0;
        if (!baseline) {
            result = (scores.v[i] - (group == 0u ? mean : scales.v[group == 0u ? 0u : i / max(group, 1u)])) * scale;
        } else if (i >= 2u) {
            for (uint g = 0; g < groups; ++g)
                result += (scores.v[g * group + i] - scores.v[g * group]) * scales.v[g];
            result /= float(groups);
        }
        fitness.v[i] = result;
    }
}
