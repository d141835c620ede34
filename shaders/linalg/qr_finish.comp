// SPDX-License-Identifier: MIT
// The end of a QR factorisation: R from the upper triangle of W, with the scale and the signs that are wanted, Q with
// the same signs; zeros where the input was not finite. A workgroup does PER_THREAD rows of both.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/qr.h"
#include "linalg/status.h"
#define JOB QrFinishJob
#include "core/kernel.glsl"
#include "core/scale_by.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 w = p.jobs.job[j].w;
    F32 q = p.jobs.job[j].q;
    F32 r = p.jobs.job[j].r;
    U32 exponent = p.jobs.job[j].exponent;
    U32 status = p.jobs.job[j].status;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint flags = p.jobs.job[j].flags;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint w_stride = p.jobs.job[j].w_stride;
    uint w_base = item * p.jobs.job[j].w_item;
    uint q_stride = p.jobs.job[j].q_stride;
    uint q_base = item * p.jobs.job[j].q_item;
    uint r_stride = p.jobs.job[j].r_stride;
    uint r_base = item * p.jobs.job[j].r_item;
    bool finite = status.v[item] != STATUS_NONFINITE;
    bool positive = (flags & QR_POSITIVE) != 0;
    int scale = 0;
    if ((flags & QR_SCALED) != 0)
        scale = int(exponent.v[item]);
    uint t = gl_LocalInvocationID.x;

    for (uint i = 0; i < PER_THREAD; ++i) {
        uint row = group * PER_THREAD + i;
        if (row < n) {
            float factor = positive && w.v[w_base + row * (w_stride + 1)] < 0.0 ? -1.0 : 1.0;
            for (uint col = t; col < n; col += gl_WorkGroupSize.x)
                r.v[r_base + row * r_stride + col] =
                    finite && col >= row ? factor * scale_by(w.v[w_base + row * w_stride + col], scale) : 0.0;
        }
        for (uint col = t; row < m && col < n; col += gl_WorkGroupSize.x) {
            uint at = q_base + row * q_stride + col;
            if (!finite)
                q.v[at] = 0.0;
            else if (positive && w.v[w_base + col * (w_stride + 1)] < 0.0)
                q.v[at] = -q.v[at];
        }
    }
}
