// SPDX-License-Identifier: MIT
// The largest element of each row of gradient windows, as the bits of a float (which compare like floats, NaNs on top).
// A workgroup looks at THREADS * PER_THREAD elements of a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyMaxJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 128;

shared uint largest;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 u = p.jobs.job[j].u;
    U32 partials = p.jobs.job[j].partials;
    uint d = p.jobs.job[j].d;
    uint chunks = p.jobs.job[j].chunks;
    uint rows = p.jobs.job[j].rows;
    uint line = group / chunks;
    uint item = line / rows;
    uint base = item * p.jobs.job[j].item + (line - item * rows) * p.jobs.job[j].stride;
    uint first = (group - line * chunks) * gl_WorkGroupSize.x * PER_THREAD + gl_LocalInvocationID.x;

    if (gl_LocalInvocationID.x == 0)
        largest = 0;
    barrier();
    uint worst = 0;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint i = first + r * gl_WorkGroupSize.x;
        if (i < d)
            worst = max(worst, floatBitsToUint(load(u, base + min(i, d - 1), DTYPE_A)) & 0x7fffffffu);
    }
    atomicMax(largest, worst);
    barrier();
    if (gl_LocalInvocationID.x == 0)
        partials.v[group] = largest;
    if (group == 0 && gl_LocalInvocationID.x == 0 && (p.jobs.job[j].flags & WOODBURY_OWN_ROW) != 0) {
        U32 slot = p.jobs.job[j].slot;
        uint next = slot.v[0] + 1;
        slot.v[0] = next < p.jobs.job[j].slots ? next : 0;
    }
}
