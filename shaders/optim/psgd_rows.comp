// SPDX-License-Identifier: MIT
// What a power iteration begins with, of every row of S = A or A + B: its norm, and its diagonal element or largest
// absolute value; of Q's row the latter too where it is asked for. All matrices in one dispatch, a workgroup a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdRowsJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

shared vec2 largest_scratch[gl_WorkGroupSize.x];

vec2 workgroup_max(vec2 x) {
    uint t = gl_LocalInvocationID.x;
    largest_scratch[t] = x;
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            largest_scratch[t] = max(largest_scratch[t], largest_scratch[t + half_size]);
        barrier();
    }
    return largest_scratch[0];
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint row = group - p.jobs.job[j].first_group;
    uint order = p.jobs.job[j].order;
    uint flags = p.jobs.job[j].flags;
    bool sums = (flags & PSGD_SUM) != 0u;
    bool limits = (flags & PSGD_LIMIT) != 0u;
    F32 a = p.jobs.job[j].a;
    F32 b = p.jobs.job[j].b;
    F32 q = p.jobs.job[j].q;
    F32 rows = p.jobs.job[j].rows;

    vec3 squares = vec3(0.0);
    vec2 largest = vec2(0.0);
    for (uint c = gl_LocalInvocationID.x; c < order; c += gl_WorkGroupSize.x) {
        uint i = row * order + c;
        float x = a.v[i];
        if (sums)
            x += b.v[i];
        blue_add(squares, x);
        largest.x = max(largest.x, abs(x));
        if (limits)
            largest.y = max(largest.y, abs(q.v[i]));
    }
    float norm = blue_norm(workgroup_sum(squares));
    largest = workgroup_max(largest);
    if (gl_LocalInvocationID.x != 0u)
        return;
    float diagonal = a.v[row * order + row];
    if (sums)
        diagonal += b.v[row * order + row];
    rows.v[3u * row] = norm; // NaN or infinite where an element is not finite
    rows.v[3u * row + 1u] = (flags & PSGD_LARGEST) != 0u ? largest.x : diagonal;
    rows.v[3u * row + 2u] = largest.y;
}
