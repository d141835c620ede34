// SPDX-License-Identifier: MIT
// T of the compact WY form, H_1 ... H_w = I - V T V^T (R. Schreiber and C. Van Loan 1989), from V^T V (ReflectorsJob):
//
//   t_qq = tau_q       t_rq = -tau_q sum_s t_rs (V^T V)_sq,  s from r to q - 1
//
// A row of T needs no other: one invocation a row, which reads back what it has written.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/tridiagonal.h"
#define JOB ReflectorsJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 gram = p.jobs.job[j].gram;
    F32 tau = p.jobs.job[j].tau;
    F32 t = p.jobs.job[j].t;
    uint width = p.jobs.job[j].width;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    uint r = (group - item * groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (r >= width)
        return;
    uint at = item * width * width;
    uint tau_at = p.jobs.job[j].tau_first + item * p.jobs.job[j].tau_item;
    for (uint q = 0; q < width; ++q) {
        uint col = min(q, width - 1);
        float factor = tau.v[tau_at + col];
        float sum = 0.0;
        for (uint s = r; s < q; ++s)
            sum += t.v[at + r * width + min(s, width - 1)] * gram.v[at + min(s, width - 1) * width + col];
        t.v[at + r * width + col] = q < r ? 0.0 : q == r ? factor : -factor * sum;
    }
}
