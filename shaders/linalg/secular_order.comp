// SPDX-License-Identifier: MIT
// Poles and z in ascending order (secular.h): a pole's place is the number of poles before it, NaNs
// last: every place is taken, whatever the poles. One invocation a pole.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/secular.h"
#define JOB SecularJob
#include "core/kernel.glsl"
#include "linalg/secular.glsl"
#include "linalg/sort.glsl"

void main() {
    if (nothing_to_do())
        return;
    Merge x = find_merge();
    F32 d = p.jobs.job[x.j].d;
    F32 e = p.jobs.job[x.j].e;
    F32 q = p.jobs.job[x.j].q;
    F32 numbers = p.jobs.job[x.j].numbers;
    U32 words = p.jobs.job[x.j].words;
    uint i = x.group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= x.m)
        return;
    uint half_size = x.m / 2;
    float value = d.v[x.base + i];
    uint key = ordered_key(value, false);
    uint place = 0;
    for (uint k = 0; k < x.m; ++k) {
        float other = d.v[x.base + min(k, x.m - 1)];
        place += uint(precedes(uvec2(ordered_key(other, false), k), uvec2(key, i)));
    }
    // The last row of Q_1, the first of Q_2.
    uint q_at = x.index * 2 * half_size * half_size;
    q_at += i < half_size ? (half_size - 1) * half_size + i : half_size * half_size + i - half_size;
    float z = 0.70710678 * q.v[q_at];
    if (i >= half_size && e.v[coupling_index(x)] < 0.0)
        z = -z;
    numbers.v[SECULAR_POLES * x.total + x.base + place] = value;
    numbers.v[SECULAR_Z * x.total + x.base + place] = z;
    words.v[SECULAR_ORDER * x.total + x.base + place] = i;
}
