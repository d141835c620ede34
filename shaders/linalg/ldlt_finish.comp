// SPDX-License-Identifier: MIT
// The end of a blocked LDL^T: ones on L's diagonal and zeros above it, zeros everywhere and in D where A is not finite,
// and the status of each matrix. A workgroup does PER_THREAD rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/ldlt.h"
#include "linalg/status.h"
#define JOB LdltFinishJob
#include "core/kernel.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 8;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 l = p.jobs.job[j].l;
    F32 d = p.jobs.job[j].d;
    U32 state = p.jobs.job[j].state;
    uint n = p.jobs.job[j].n;
    uint groups = p.jobs.job[j].groups;
    uint l_stride = p.jobs.job[j].l_stride;
    uint item = group / groups;
    group -= item * groups;
    uint l_base = item * p.jobs.job[j].l_item;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    uint state_at = item * LDLT_STATE_WORDS;
    bool finite = state.v[state_at + LDLT_STATE_LARGEST] < 0x7f800000u;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        if (row >= n)
            continue;
        for (uint col = t + (finite ? row : 0); col < n; col += threads)
            l.v[l_base + row * l_stride + col] = finite && col == row ? 1.0 : 0.0;
        if (!finite && t < 2)
            d.v[2 * (item * n + row) + t] = 0.0;
    }
    if (group != 0 || t != 0 || (p.jobs.job[j].flags & LDLT_HAS_STATUS) == 0)
        return;
    U32 status = p.jobs.job[j].status;
    uint pivots = state.v[state_at + LDLT_STATE_PIVOTS];
    status.v[item] = !finite || pivots == 2u ? STATUS_NONFINITE : pivots == 1u ? STATUS_SINGULAR : STATUS_OK;
}
