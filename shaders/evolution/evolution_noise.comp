// SPDX-License-Identifier: MIT
// The noise of a population's parameter: four neighbouring numbers of a pair an invocation, each where its column of A
// or B lies (heron/evolution.hpp has the counters).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "evolution/evolution.h"

#define JOB EvolutionNoiseJob
#include "core/kernel.glsl"
#include "linalg/philox.glsl"

// -log((word + 0.5) / 2^32), near 1 by the series of log(1 - x), whose terms are exact enough below 2^-7.
float minus_log_of(uint word) {
    float x = (float(~word) + 0.5) * 2.3283064e-10; // 1 - u
    if (x < 0.0078125) {
        precise float series = x + x * x * (0.5 + x * (0.33333334 + x * 0.25));
        return series;
    }
    return minus_log((float(word) + 0.5) * 2.3283064e-10);
}

// direction() begins an eighth of a turn earlier.
vec2 normals(uint radius_word, uint angle_word) {
    float square = 2.0 * minus_log_of(radius_word);
    float radius = square > 0.0 ? sqrt(square) : 0.0; // sqrt may be computed as x * inversesqrt(x)
    return radius * direction(angle_word + 0x20000000u);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 a = p.jobs.job[j].a;
    F32 b = p.jobs.job[j].b;
    U32 epochs = p.jobs.job[j].epoch;
    uvec2 key = uvec2(p.jobs.job[j].seed, p.jobs.job[j].seed_high);
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint rank = p.jobs.job[j].rank;
    uint reuse = p.jobs.job[j].reuse;
    uint members = p.jobs.job[j].group;
    uint groups = p.jobs.job[j].groups;
    uint pair = group / groups;
    uint block = group % groups * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint count = (rows + cols) * rank;
    if (4u * block >= count)
        return;
    uint epoch = reuse == 0u ? 0u : epochs.v[0] / max(reuse, 1u);
    uvec4 words = philox(uvec4(block, pair, epoch, p.jobs.job[j].tensor), key);
    vec4 numbers = vec4(normals(words.x, words.y), normals(words.z, words.w));
    if (members != 0u && 2u * pair % max(members, 1u) == 0u)
        numbers = vec4(0.0);
    for (uint q = 0; q < 4u; ++q) {
        uint e = 4u * block + q;
        if (e >= count)
            return;
        uint row = e / rank, column = e % rank;
        if (row < cols)
            b.v[(pair * rank + column) * cols + row] = numbers[q];
        else
            a.v[(pair * rank + column) * rows + row - cols] = numbers[q];
    }
}
