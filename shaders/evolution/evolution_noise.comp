// SPDX-License-Identifier: MIT
// The noise of a population's parameter: four neighbouring numbers of a pair an invocation, each where its column of A
// or B lies (heron/evolution.hpp has the counters).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "evolution/evolution.h"

#define JOB EvolutionNoiseJob
#include "core/kernel.glsl"
#include "evolution/evolution_noise.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 a = p.jobs.job[j].a;
    F32 b = p.jobs.job[j].b;
    U32 epoch = p.jobs.job[j].epoch;
    EvolutionDraw draw = p.jobs.job[j].draw;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint rank = p.jobs.job[j].rank;
    uint groups = p.jobs.job[j].groups;
    uint pair = group / groups;
    uint block = group % groups * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint count = (rows + cols) * rank;
    if (4u * block >= count)
        return;
    vec4 numbers = noise_numbers(block, pair, epoch.v[0], draw);
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
