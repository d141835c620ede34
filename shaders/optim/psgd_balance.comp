// SPDX-License-Identifier: MIT
// Balances the factors of parameters, all in one dispatch: Q_i <- Q_i g / n_i, n_i the largest absolute value of Q_i, g
// the geometric mean of all n of the parameter. A workgroup takes rounds x workgroup size elements and finds g by
// itself.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdBalanceJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    F32 partials = p.jobs.job[j].partials;
    float share = p.jobs.job[j].share;
    float share_low = p.jobs.job[j].share_low;
    float mean = 1.0;
    float own = 0.0;
    bool usable = true;
    uint first = 0u;
    for (uint k = 0u; k < p.jobs.job[j].factors; ++k) {
        uint end = p.jobs.job[j].end[k];
        float largest = 0.0;
        for (; first < end; ++first)
            largest = max(largest, partials.v[first]);
        usable = usable && largest >= 1.17549435e-38;
        mean *= power(max(largest, 1.17549435e-38), share, share_low);
        own = k == p.jobs.job[j].own ? largest : own;
    }
    if (!usable || is_nonfinite(mean))
        return;
    F32 q = p.jobs.job[j].q;
    uint begin = group * rounds * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = begin + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        q.v[i] = clamp_finite(q.v[i] / own * mean);
    }
}
