// SPDX-License-Identifier: MIT
// First factors, all in one dispatch: Q = I times a number that is given, or s^exponent with
//
//   s = (M^4 + damping^4)^(-1/8) (mean v^2)^(1/4),  M^4 the largest mean fourth power of all parameters; the last
//   factor with probes v only
//
// A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdStartJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    uint order = p.jobs.job[j].order;
    float value = p.jobs.job[j].value;
    if ((p.jobs.job[j].flags & PSGD_GIVEN) == 0u) {
        F32 moments = p.jobs.job[j].moments;
        float damping = p.jobs.job[j].damping;
        float probes = p.jobs.job[j].probes;
        float largest = 0.0;
        float squares = 0.0;
        for (uint k = 0u; k < p.jobs.job[j].parameters; ++k) {
            largest = max(largest, moments.v[2u * k]);
            squares += moments.v[2u * k + 1u];
        }
        float high = max(max(largest, damping), 1.17549435e-38);
        float ratio = min(largest, damping) / high;
        float s = power(high, -0.5, 0.0) * power(1.0 + ratio * ratio * (ratio * ratio), -0.125, 0.0);
        if (probes > 0.0)
            s *= power(max(squares / probes, 1.17549435e-38), 0.25, 0.0);
        value = power(clamp(s, 1.17549435e-38, 1.0e38), p.jobs.job[j].exponent, 0.0);
    }
    F32 q = p.jobs.job[j].q;
    uint begin = group * rounds * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = begin + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        q.v[i] = order == 0u || i / max(order, 1u) == i % max(order, 1u) ? value : 0.0;
    }
}
