// SPDX-License-Identifier: MIT
// Raises the diagonal of upper triangular matrices to `tolerance` times its largest element, one workgroup a matrix:
// what is divided by it then stays small where it consists of rounding errors, instead of becoming as large as the
// rest, or infinite.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/dion.h"

#define JOB DionPivotsJob
#include "core/kernel.glsl"

shared float largest[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 factor = p.jobs.job[j].factor;
    uint n = p.jobs.job[j].n;
    uint t = gl_LocalInvocationID.x;
    float mine = 0.0;
    for (uint i = t; i < n; i += gl_WorkGroupSize.x)
        mine = max(mine, factor.v[i * n + i]);
    largest[t] = mine;
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) {
        if (t < half_size)
            largest[t] = max(largest[t], largest[t + half_size]);
        barrier();
    }
    float smallest = largest[0] > 0.0 ? p.jobs.job[j].tolerance * largest[0] : 1.0;
    for (uint i = t; i < n; i += gl_WorkGroupSize.x)
        factor.v[i * n + i] = max(factor.v[i * n + i], smallest);
}
