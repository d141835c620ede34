// SPDX-License-Identifier: MIT
// What (I + V V^T) solution leaves of the right-hand side.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "newton/newton.h"

#define JOB NewtonResidualJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 rhs = p.jobs.job[j].rhs;
    F32 solution = p.jobs.job[j].solution;
    F32 product = p.jobs.job[j].product;
    F32 residual = p.jobs.job[j].residual;
    uint i = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i < p.jobs.job[j].count)
        residual.v[i] = (rhs.v[i] - solution.v[i]) - product.v[i];
}
