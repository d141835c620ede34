// SPDX-License-Identifier: MIT
// The element-wise part of the product form of the Denman-Beavers iteration, with determinantal scaling (S. H. Cheng,
// N. Higham, C. Kenney, A. Laub, SIAM J. Matrix Anal. 22, 2001):
//
//   g = det(M)^(-1 / 2 n) while M is far from I, else 1
//   F = (g / 2) (I + M^-1 / g^2),   M <- (1 / 2) (I + (g^2 M + M^-1 / g^2) / 2)
//
// A workgroup does PER_THREAD rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/inverse_root.h"

#define JOB RootDenmanJob
#include "core/kernel.glsl"
#include "linalg/inverse_root.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 m = p.jobs.job[j].m;
    F32 inverse = p.jobs.job[j].inverse;
    F32 log_determinant = p.jobs.job[j].log_determinant;
    F32 next = p.jobs.job[j].next;
    F32 f = p.jobs.job[j].f;
    U32 states = p.jobs.job[j].states;
    U32 running = p.jobs.job[j].running;
    uint n = p.jobs.job[j].n;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    if (running.v[item] == 0)
        return;

    uint at = (item * p.jobs.job[j].slots + p.jobs.job[j].iteration - 1) * ROOT_STATE_WORDS;
    float error = uintBitsToFloat(states.v[at + 1]);
    float value = log_determinant.v[item];
    float g = 1.0;
    if (error > 0.1 && !is_nonfinite(value))
        g = exp_accurate(-0.5 * value / float(n));
    float g2 = g * g;
    float inverse_g2 = 1.0 / g2;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        uint end = row < n ? n : 0;
        for (uint i = gl_LocalInvocationID.x; i < end; i += gl_WorkGroupSize.x) {
            uint element = item * n * n + min(row, n - 1) * n + min(i, n - 1);
            float one = row == i ? 1.0 : 0.0;
            float y = inverse.v[element] * inverse_g2;
            f.v[element] = 0.5 * g * (one + y);
            next.v[element] = 0.5 * (one + 0.5 * (g2 * m.v[element] + y));
        }
    }
}
