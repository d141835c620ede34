// SPDX-License-Identifier: MIT
// Dion2's momentum, all blocks of all parameters in one dispatch: M <- M + G, with parts of the l1 norms of its rows,
// or of its columns. No line is selected yet: positions become DION2_NOWHERE.
//
// An invocation sums one part of a row, every parts-th quad (CPU drivers: quads side by side), or `rounds` rows of a
// quad of columns.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/dion2.h"

#define JOB Dion2MomentumJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/moment.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint id = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    begin_gradient(j);
    U32x4 momentum = p.jobs.job[j].momentum.quads;
    U32 momentum_words = p.jobs.job[j].momentum.words;
    uint parameter = p.jobs.job[j].momentum.parameter;
    F32 sums = p.jobs.job[j].sums;
    U32 positions = p.jobs.job[j].positions;
    uint first = p.jobs.job[j].range.first;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint parts = p.jobs.job[j].parts;
    uint rounds = p.jobs.job[j].range.rounds;
    bool columns = (p.jobs.job[j].flags & DION2_COLUMNS) != 0u;
    uint row_quads = (cols >> 2) + uint((cols & 3u) != 0u);

    uint part = columns ? id / row_quads : id % parts;
    uint line = columns ? id % row_quads : id / parts; // a row, or a quad of columns
    if (columns ? part >= parts : line >= rows)
        return;
    vec4 sum = vec4(0.0);
    for (uint r = 0u; r < rounds; ++r) {
        uint row = columns ? part * rounds + r : line;
        uint quad = columns ? line : SINGLE ? part * rounds + r : part + r * parts;
        if (row >= rows || quad >= row_quads)
            break;
        uint i = first + row * cols + 4u * quad;
        uint valid = min(4u, cols - 4u * quad);
        vec4 m = load_moment(momentum, i, valid) + load_gradient(i, valid);
        m = store_moment(momentum, momentum_words, i, valid, m, moment_draws(parameter, i)); // as dion2_take has it
        sum += abs(m);
    }
    if (!columns) {
        sums.v[line * parts + part] = (sum.x + sum.y) + (sum.z + sum.w);
        if (part == 0u)
            positions.v[line] = DION2_NOWHERE;
        return;
    }
    for (uint k = 0u; k < min(4u, cols - 4u * line); ++k) {
        sums.v[part * cols + 4u * line + k] = sum[k];
        if (part == 0u)
            positions.v[4u * line + k] = DION2_NOWHERE;
    }
}
