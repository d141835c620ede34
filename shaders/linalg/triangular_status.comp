// SPDX-License-Identifier: MIT
// The status of triangular matrices, from their diagonals: one workgroup a matrix.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/triangular.h"
#include "linalg/status.h"
#define JOB TriangularStatusJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"
#include "linalg/triangular_diagonal.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    U32 t = p.jobs.job[j].t;
    U32 status = p.jobs.job[j].status;
    uint n = p.jobs.job[j].n;
    uint step_size = p.jobs.job[j].t_step;
    uint base = item * p.jobs.job[j].t_item;
    bool unit = (p.jobs.job[j].flags & TRIANGULAR_UNIT) != 0;

    // How many elements are not finite, and how many are zero.
    vec3 counts = vec3(0.0);
    if (!unit)
        for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x) {
            uint found = diagonal_status(load(t, base + min(i, n - 1) * step_size, DTYPE_A));
            counts.x += found == STATUS_NONFINITE ? 1.0 : 0.0;
            counts.y += found == STATUS_SINGULAR ? 1.0 : 0.0;
        }
    counts = workgroup_sum(counts);
    if (gl_LocalInvocationID.x == 0)
        status.v[item] = counts.x > 0.0 ? STATUS_NONFINITE : counts.y > 0.0 ? STATUS_SINGULAR : STATUS_OK;
}
