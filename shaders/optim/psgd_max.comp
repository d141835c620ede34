// SPDX-License-Identifier: MIT
// The largest element of T1 + T2 of diagonal factors, T2 = B or shift B^2, or the largest absolute value of any factor;
// one a workgroup, NaN where one is not finite. A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdMaxJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

shared float largest_scratch[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    uint flags = p.jobs.job[j].flags;
    float shift = p.jobs.job[j].shift;
    F32 a = p.jobs.job[j].a;
    F32 b = p.jobs.job[j].b;
    uint t = gl_LocalInvocationID.x;
    uint begin = group * rounds * gl_WorkGroupSize.x + t;
    float largest = 0.0;
    float bad = 0.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = begin + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        float x = abs(a.v[i]);
        if ((flags & PSGD_SUM) != 0u) {
            float y = b.v[i];
            x += (flags & PSGD_OWN) != 0u ? shift * y * y : y;
        }
        bad = is_nonfinite(x) ? 1.0 : bad;
        largest = max(largest, x);
    }
    largest_scratch[t] = largest;
    bad = workgroup_sum(vec3(bad, 0.0, 0.0)).x;
    for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            largest_scratch[t] = max(largest_scratch[t], largest_scratch[t + half_size]);
        barrier();
    }
    F32 partials = p.jobs.job[j].partials;
    if (t == 0u)
        partials.v[group] = bad != 0.0 ? uintBitsToFloat(0x7fc00000u) : largest_scratch[0];
}
