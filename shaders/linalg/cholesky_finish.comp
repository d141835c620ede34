// SPDX-License-Identifier: MIT
// The end of a blocked Cholesky factorisation: zeros on the other side of the diagonal, zeros everywhere where all
// attempts failed, and the status and jitter of each matrix. A workgroup does PER_THREAD rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/cholesky.h"
#include "linalg/status.h"
#define JOB CholeskyFinishJob
#include "core/kernel.glsl"
#include "linalg/active.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 l = p.jobs.job[j].l;
    F32 diagonal = p.jobs.job[j].diagonal;
    U32 states = p.jobs.job[j].states;
    U32 nonfinite = p.jobs.job[j].nonfinite;
    uint n = p.jobs.job[j].n;
    uint groups = p.jobs.job[j].groups;
    uint flags = p.jobs.job[j].flags;
    uint attempts = p.jobs.job[j].attempts;
    uint panels = p.jobs.job[j].panels;
    bool upper = (flags & CHOLESKY_UPPER) != 0;
    uint item = group / groups;
    group -= item * groups;
    if (is_inactive(j, item, CHOLESKY_HAS_ACTIVE))
        return;

    bool finite = nonfinite.v[item] == 0;
    uint used = 0; // the attempt that succeeded
    while (used < attempts && states.v[(item * attempts + min(used, attempts - 1) + 1) * panels - 1] != 0)
        ++used;
    bool positive = finite && used < attempts;

    uint l_stride = p.jobs.job[j].l_stride;
    uint l_base = item * p.jobs.job[j].l_item;
    uint t = gl_LocalInvocationID.x;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        uint begin = positive && !upper ? row + 1 : 0;
        uint end = row >= n ? 0 : positive && upper ? row : n;
        for (uint col = begin + t; col < end; col += gl_WorkGroupSize.x)
            l.v[l_base + row * l_stride + col] = 0.0;
    }

    if (group != 0 || t != 0)
        return;
    if ((flags & CHOLESKY_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = !finite     ? STATUS_NONFINITE
                         : !positive ? STATUS_INDEFINITE
                         : used > 0  ? STATUS_JITTERED
                                     : STATUS_OK;
    }
    if ((flags & CHOLESKY_HAS_JITTER) != 0) {
        float mean = 0.0;
        for (uint i = 0; i < n; ++i)
            mean += diagonal.v[item * n + min(i, n - 1)] * (1.0 / float(n));
        float jitter = p.jobs.job[j].absolute + p.jobs.job[j].relative * mean;
        for (uint i = 1; i < used; ++i)
            jitter *= 10.0;
        F32 result = p.jobs.job[j].jitter;
        result.v[item] = positive && used > 0 ? jitter : 0.0;
    }
}
