// SPDX-License-Identifier: MIT
// A warm start: X = c X0, symmetrised, for large matrices. A workgroup does PER_THREAD rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/inverse_root.h"

#define JOB RootGuessJob
#include "core/kernel.glsl"
#include "linalg/inverse_root.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 guess = p.jobs.job[j].guess;
    F32 x = p.jobs.job[j].x;
    U32 states = p.jobs.job[j].states;
    uint n = p.jobs.job[j].n;
    uint stride = p.jobs.job[j].guess_stride;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint base = item * p.jobs.job[j].guess_item;
    int exponent = int(states.v[item * p.jobs.job[j].slots * ROOT_STATE_WORDS + 3]);
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        uint end = row < n ? n : 0;
        for (uint i = gl_LocalInvocationID.x; i < end; i += gl_WorkGroupSize.x) {
            uint col = min(i, n - 1);
            float value = mean_of(guess.v[base + row * stride + col], guess.v[base + col * stride + row]);
            x.v[item * n * n + row * n + col] = scale_by(value, exponent);
        }
    }
}
