// SPDX-License-Identifier: MIT
// The status of a QR factorisation from the diagonal of R: one workgroup a matrix.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/qr.h"
#include "linalg/status.h"
#define JOB QrStatusJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

shared vec3 scratch[gl_WorkGroupSize.x]; // largest, smallest, how many are not finite

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    F32 w = p.jobs.job[j].w;
    U32 status = p.jobs.job[j].status;
    uint n = p.jobs.job[j].n;
    uint step_size = p.jobs.job[j].step;
    uint base = item * p.jobs.job[j].item;
    uint t = gl_LocalInvocationID.x;

    vec3 state = vec3(0.0, 3.0e38, 0.0);
    for (uint i = t; i < n; i += gl_WorkGroupSize.x) {
        float d = abs(w.v[base + min(i, n - 1) * step_size]);
        if (is_nonfinite(d))
            state.z += 1.0;
        else
            state.xy = vec2(max(state.x, d), min(state.y, d));
    }
    scratch[t] = state;
    barrier();
    if (t != 0)
        return;
    for (uint i = 1; i < gl_WorkGroupSize.x; ++i) {
        vec3 other = scratch[i];
        state = vec3(max(state.x, other.x), min(state.y, other.y), state.z + other.z);
    }
    uint found = state.z > 0.0                                       ? STATUS_NONFINITE
                 : state.y > p.jobs.job[j].tolerance * state.x ? STATUS_OK
                                                                     : STATUS_RANK_DEFICIENT;
    if ((p.jobs.job[j].flags & QR_HAS_FACTOR) != 0) {
        U32 factored = p.jobs.job[j].factored;
        if (factored.v[item] == STATUS_NONFINITE)
            found = STATUS_NONFINITE;
    }
    status.v[item] = found;
}
