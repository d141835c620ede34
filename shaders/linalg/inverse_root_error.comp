// SPDX-License-Identifier: MIT
// How far large matrices are from the identity: the largest |test - I| (or the largest row sum of it) of PER_THREAD
// rows, one word a workgroup. As bits: floats that are not negative compare like integers, and NaN is larger than
// everything.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/inverse_root.h"

#define JOB RootErrorJob
#include "core/kernel.glsl"
#include "linalg/inverse_root.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

shared uint largest;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 test = p.jobs.job[j].test;
    U32 partials = p.jobs.job[j].partials;
    U32 running = p.jobs.job[j].running;
    uint n = p.jobs.job[j].n;
    uint groups = p.jobs.job[j].groups;
    bool row_sums = (p.jobs.job[j].flags & ROOT_WARM) != 0;
    bool two_words = (p.jobs.job[j].flags & ROOT_TWO_WORDS) != 0;
    uint item = group / groups;
    uint t = gl_LocalInvocationID.x;
    if (running.v[item] == 0)
        return;

    if (t == 0)
        largest = 0;
    barrier();
    uint worst = 0;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = (group - item * groups) * PER_THREAD + r;
        uint end = row < n ? n : 0;
        vec3 sum = vec3(0.0);
        for (uint col = t; col < end; col += gl_WorkGroupSize.x) {
            float one = row == col ? 1.0 : 0.0;
            uint at = (two_words ? 2 : 1) * item * n * n + min(row, n - 1) * n + min(col, n - 1);
            precise float x = test.v[at] - one;
            if (two_words)
                x += test.v[at + (two_words ? n * n : 0)];
            uint bits = floatBitsToUint(x) & 0x7fffffffu;
            worst = max(worst, row_sums && bits < 0x7f800000u ? 0 : bits);
            sum.x += abs(x);
        }
        if (row_sums) {
            sum = workgroup_sum(sum);
            worst = max(worst, floatBitsToUint(sum.x) & 0x7fffffffu);
        }
    }
    atomicMax(largest, worst);
    barrier();
    if (t == 0)
        partials.v[group] = largest;
}
