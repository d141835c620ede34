// SPDX-License-Identifier: MIT
// W = A in f32, divided by a power of two where QR_SCALED is set; Q = the identity where QR_IDENTITY is. A workgroup
// does PER_THREAD rows of both.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/qr.h"
#define JOB QrStartJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/scale_by.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 a = p.jobs.job[j].a;
    F32 w = p.jobs.job[j].w;
    F32 q = p.jobs.job[j].q;
    U32 exponent = p.jobs.job[j].exponent;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint flags = p.jobs.job[j].flags;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint a_stride = p.jobs.job[j].a_stride;
    uint a_base = item * p.jobs.job[j].a_item;
    uint q_stride = p.jobs.job[j].q_stride;
    uint q_base = item * p.jobs.job[j].q_item;
    int scale = 0;
    if ((flags & QR_SCALED) != 0)
        scale = -int(exponent.v[item]);
    bool identity = (flags & QR_IDENTITY) != 0;

    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        for (uint col = gl_LocalInvocationID.x; row < m && col < n; col += gl_WorkGroupSize.x)
            w.v[item * m * n + row * n + col] = scale_by(load(a, a_base + row * a_stride + col, DTYPE_A), scale);
        for (uint col = gl_LocalInvocationID.x; identity && row < m && col < n; col += gl_WorkGroupSize.x)
            q.v[q_base + row * q_stride + col] = row == col ? 1.0 : 0.0;
    }
}
