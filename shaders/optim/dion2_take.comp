// SPDX-License-Identifier: MIT
// Takes the selected lines out of Dion2's momentum, all blocks of all parameters in one dispatch: A = M[lines], and
// M[lines] <- decay M[lines]; with PARTIAL_NORMS the squares of what a workgroup took, added up by Blue's sums. One
// workgroup takes `rounds` x workgroup size elements of A.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/dion2.h"

#define JOB Dion2TakeJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/moment.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 momentum = p.jobs.job[j].momentum.words;
    uint parameter = p.jobs.job[j].momentum.parameter;
    U32 indices = p.jobs.job[j].indices;
    U32 positions = p.jobs.job[j].positions;
    F32 lines = p.jobs.job[j].lines;
    Dion2HyperRef hyper = p.jobs.job[j].hyper;
    float decay = hyper.h.decay;
    uint first = p.jobs.job[j].range.first;
    uint rounds = p.jobs.job[j].range.rounds;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint count = p.jobs.job[j].count;
    bool columns = (p.jobs.job[j].flags & DION2_COLUMNS) != 0u;
    uint width = columns ? count : cols; // of A
    uint elements = width * (columns ? rows : count);

    vec3 sums = vec3(0.0);
    for (uint r = 0u; r < rounds; ++r) {
        uint e = (group * rounds + r) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (e >= elements)
            break;
        uint row = e / width;
        uint col = e - row * width;
        uint selected = columns ? col : row;
        uint line = indices.v[selected];
        uint i = first + (columns ? row * cols + line : line * cols + col);
        float m = load(momentum, i, MOMENT_DTYPE);
        lines.v[e] = m;
        uint draw = moment_draws(parameter, i).x >> 16; // dion2_momentum has the lower bits
        store(momentum, i, rounded_moment(decay * m, draw), MOMENT_DTYPE);
        if ((columns ? row : col) == 0u)
            positions.v[line] = selected;
        if ((FLAGS & PARTIAL_NORMS) != 0u)
            blue_add(sums, m);
    }
    if ((FLAGS & PARTIAL_NORMS) == 0u)
        return;
    sums = workgroup_sum(sums);
    if (gl_LocalInvocationID.x == 0u) {
        F32 partials = p.jobs.job[j].partials;
        partials.v[3u * group] = sums.x;
        partials.v[3u * group + 1u] = sums.y;
        partials.v[3u * group + 2u] = sums.z;
    }
}
