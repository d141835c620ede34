// SPDX-License-Identifier: MIT
// Kronecker factors f_i (up to three of one product) with damping on their diagonals, all of them in one dispatch. nu_i
// is the mean of f_i's diagonal, c the geometric mean of the nu_i.
//
//   l = damping and its scale, times the product of traces (DAMPING_TRACE) or of the nu_i (DAMPING_MEAN)
//
//   SPLIT_FULL            f_i + l_i I, l_i with f_i's own trace or mean
//   SPLIT_PI              f_i + d nu_i I,        d = l^(1/k') / c^(k/k')
//   SPLIT_PI_NORMALIZED   c (f_i / nu_i + d I)
//
// k' of the k factors are larger than 1 x 1; the others are not damped. For two factors d nu_A = sqrt(l nu_A / nu_S).
// Where a nu_i is zero all f_i become l^(1/k) I (l: damping as it is).
// Every workgroup adds up the traces by itself, in the same order, and takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerDampJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "curvature/elements.glsl"

const float LEAST_MEAN = 1e-30; // below, a factor counts as zero
const float LARGEST = 1.2676506e30; // 2^100

// x^(1/k), x^(1/k') and so on: exponents are quotients of numbers up to 3.
float root(float x, uint numerator, uint denominator) {
    float y = clamp(x, 1.17549435e-38, 1.7014118e38);
    if (denominator == 1u)
        y = y;
    else if (denominator == 2u)
        y = sqrt(y);
    else
        y = power(y, 0.33325195, 8.138021e-5); // 1/3 in two parts
    return numerator == 1u ? y : numerator == 2u ? y * y : y * y * y;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 f0 = p.jobs.job[j].factor0;
    F32 f1 = p.jobs.job[j].factor1;
    F32 f2 = p.jobs.job[j].factor2;
    uvec3 orders = uvec3(p.jobs.job[j].order0, p.jobs.job[j].order1, p.jobs.job[j].order2);
    vec3 traces = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < orders.x; k += gl_WorkGroupSize.x)
        traces.x += f0.v[k * (orders.x + 1u)];
    for (uint k = gl_LocalInvocationID.x; k < orders.y; k += gl_WorkGroupSize.x)
        traces.y += f1.v[k * (orders.y + 1u)];
    for (uint k = gl_LocalInvocationID.x; k < orders.z; k += gl_WorkGroupSize.x)
        traces.z += f2.v[k * (orders.z + 1u)];
    traces = workgroup_sum(traces);

    uint index = p.jobs.job[j].index;
    uint order = index == 0u ? orders.x : index == 1u ? orders.y : orders.z;
    uint scale = p.jobs.job[j].scale;
    uint split = p.jobs.job[j].split;
    uint rounds = p.jobs.job[j].rounds;
    F32 damping_address = p.jobs.job[j].damping;
    float damping = damping_address.v[0] * p.jobs.job[j].damping_scale;

    uint factors = 1u + uint(orders.y > 0u) + uint(orders.z > 0u);
    uvec3 counts = max(uvec3(p.jobs.job[j].mean0, p.jobs.job[j].mean1, p.jobs.job[j].mean2), uvec3(1u));
    vec3 means = vec3(traces.x / float(counts.x), traces.y / float(counts.y), traces.z / float(counts.z));
    uint wide = uint(counts.x > 1u) + uint(counts.y > 1u) + uint(counts.z > 1u);
    bool zero = means.x < LEAST_MEAN || (factors > 1u && means.y < LEAST_MEAN) || (factors > 2u && means.z < LEAST_MEAN);
    float trace = index == 0u ? traces.x : index == 1u ? traces.y : traces.z;
    float mean = index == 0u ? means.x : index == 1u ? means.y : means.z;

    float times = 1.0; // the factor becomes f times + plus I
    float plus = 0.0;
    if (split == SPLIT_FULL) {
        plus = damping * (scale == DAMPING_TRACE ? trace : scale == DAMPING_MEAN ? mean : 1.0);
        if (scale != DAMPING_ABSOLUTE && mean < LEAST_MEAN)
            plus = damping;
    } else if (zero) {
        times = 0.0;
        plus = root(damping, 1u, factors);
    } else {
        float c = root(means.x, 1u, factors);
        if (factors > 1u)
            c *= root(means.y, 1u, factors);
        if (factors > 2u)
            c *= root(means.z, 1u, factors);
        // l / c^k, so that nothing of the size of l itself is needed.
        float relative = damping;
        if (scale == DAMPING_TRACE)
            relative *= float(counts.x) * float(counts.y) * float(counts.z);
        float d = 0.0;
        if ((index == 0u ? counts.x : index == 1u ? counts.y : counts.z) > 1u)
            d = scale == DAMPING_ABSOLUTE ? root(damping, 1u, wide) / root(c, factors, wide) : root(relative, 1u, wide);
        if (split == SPLIT_PI_NORMALIZED) {
            times = c / mean;
            plus = c * d;
        } else {
            plus = d * mean;
        }
    }
    plus = clamp_finite(plus);
    if ((p.jobs.job[j].flags & KRONECKER_LEVEL) != 0u && group == p.jobs.job[j].first_group && gl_LocalInvocationID.x == 0u) {
        F32 level = p.jobs.job[j].level;
        level.v[0] = plus;
    }

    uint count = order * order;
    F32 result = p.jobs.job[j].result;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        float x = index == 0u ? f0.v[i] : index == 1u ? f1.v[i] : f2.v[i];
        x *= times;
        if (on_diagonal(i, order))
            x += plus;
        result.v[i] = is_nan(x) ? x : clamp(x, -LARGEST, LARGEST);
    }
}
