// SPDX-License-Identifier: MIT
// log det(L L^T) = 2 sum log L_ii, one workgroup a matrix. Minus infinity where an element is not positive, NaN where
// one is not finite.
//
// log x = k log 2 + log m with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1) / (m + 1)) by its series: the
// drivers' own logarithms differ by many ulp. The k are added as integers.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/cholesky.h"
#define JOB LogDeterminantJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

// The first term left out is s^11 / 11 with |s| <= 0.172: 2^-28 of the sum.
float log_of_mantissa(float m) {
    float s = (m - 1.0) / (m + 1.0);
    float z = s * s;
    return 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0)))));
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    F32 l = p.jobs.job[j].l;
    uint n = p.jobs.job[j].n;
    uint base = item * p.jobs.job[j].item;
    uint step_size = p.jobs.job[j].step;

    // x: sum of the mantissas' logarithms; y: of the exponents, exact below 2^24; z: what is wrong
    vec3 state = vec3(0.0);
    for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x) {
        float x = l.v[base + min(i, n - 1) * step_size];
        uint bits = floatBitsToUint(x);
        if (is_nonfinite(x)) {
            state.z += 65536.0;
        } else if (x < 1.1754944e-38) {
            state.z += 1.0;
        } else {
            int k = int(bits >> 23) - 127;
            float m = uintBitsToFloat((bits & 0x7fffffu) | 0x3f800000u);
            if (m > 1.41421356) {
                m *= 0.5;
                ++k;
            }
            state.x += log_of_mantissa(m);
            state.y += float(k);
        }
    }
    state = workgroup_sum(state);
    if (gl_LocalInvocationID.x != 0)
        return;
    F32 result = p.jobs.job[j].result;
    float value = 2.0 * (state.x + state.y * 0.693147181);
    if (state.z >= 65536.0)
        value = uintBitsToFloat(0x7fc00000u);
    else if (state.z > 0.0)
        value = uintBitsToFloat(0xff800000u);
    result.v[item] = value;
}
