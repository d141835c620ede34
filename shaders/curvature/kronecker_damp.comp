// SPDX-License-Identifier: MIT
// Kronecker factors f_i of one product, k of them, with damping on their diagonals, all of them in one dispatch. nu_i is
// the mean of f_i's diagonal, c the geometric mean of the nu_i.
//
//   l = damping and its scale, times the product of traces (DAMPING_TRACE) or of the nu_i (DAMPING_MEAN)
//
//   SPLIT_FULL            f_i + l_i I, l_i with f_i's own trace or mean
//   SPLIT_PI              f_i + d nu_i I,        d = l^(1/k') / c^(k/k')
//   SPLIT_PI_NORMALIZED   c (f_i / nu_i + d I)
//
// k' of the k factors are larger than 1 x 1; the others are not damped, unless k' is 0: then the product gets all of l,
// each factor (1 + l / c^k)^(1/k) of what it was. For two factors d nu_A = sqrt(l nu_A / nu_S).
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

// x^(high + low), 0 for what is not above 0
float root(float x, float high, float low) {
    if (!(x > 0.0))
        return 0.0;
    float y = clamp(x, 1.17549435e-38, 1.7014118e38);
    if (low == 0.0 && high == 1.0)
        return y;
    if (low == 0.0 && high == 0.5)
        return sqrt(y);
    if (low == 0.0 && high == 2.0)
        return y * y;
    return power(y, high, low);
}

// This invocation's part of the trace of factor f, 0 where there is none.
float part_of_trace(uint j, uint f) {
    uint at = min(f, KRONECKER_FACTORS - 1u);
    F32 x = p.jobs.job[j].factor[at];
    uint order = f < p.jobs.job[j].factors ? p.jobs.job[j].order[at] : 0u;
    float sum = 0.0;
    for (uint k = gl_LocalInvocationID.x; k < order; k += gl_WorkGroupSize.x)
        sum += x.v[k * (order + 1u)];
    return sum;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint factors = p.jobs.job[j].factors;
    uint index = p.jobs.job[j].index;
    uint scale = p.jobs.job[j].scale;
    uint split = p.jobs.job[j].split;
    uint rounds = p.jobs.job[j].rounds;
    F32 damping_address = p.jobs.job[j].damping;
    float damping = damping_address.v[0] * p.jobs.job[j].damping_scale;

    float per_factor = p.jobs.job[j].per_factor;
    float per_factor_low = p.jobs.job[j].per_factor_low;
    bool wide = p.jobs.job[j].mean[index] > 1u;
    float trace = 0.0; // of the factor that is damped, as its mean
    float mean = 0.0;
    float c = 1.0;
    float all = 1.0; // rows of the product
    bool zero = false;
    for (uint first = 0u; first < factors; first += 3u) {
        vec3 traces = workgroup_sum(
            vec3(part_of_trace(j, first), part_of_trace(j, first + 1u), part_of_trace(j, first + 2u)));
        for (uint k = 0u; k < min(3u, factors - first); ++k) {
            uint f = first + k;
            float count = float(max(p.jobs.job[j].mean[f], 1u));
            float average = traces[k] / count;
            if (f == index) {
                trace = traces[k];
                mean = average;
            }
            zero = zero || average < LEAST_MEAN;
            c *= root(average, per_factor, per_factor_low);
            all *= count;
        }
    }

    float times = 1.0; // the factor becomes f times + plus I
    float plus = 0.0;
    if (split == SPLIT_FULL) {
        plus = damping * (scale == DAMPING_TRACE ? trace : scale == DAMPING_MEAN ? mean : 1.0);
        if (scale != DAMPING_ABSOLUTE && mean < LEAST_MEAN)
            plus = damping;
    } else if (zero) {
        times = 0.0;
        plus = root(damping, per_factor, per_factor_low);
    } else {
        // (l / c^k)^(1/k): l and c^k themselves may be out of range.
        float part = root(scale == DAMPING_TRACE ? damping * all : damping, per_factor, per_factor_low);
        if (scale == DAMPING_ABSOLUTE)
            part /= c;
        float d = wide ? root(part, p.jobs.job[j].ratio, p.jobs.job[j].ratio_low) : 0.0;
        if (split == SPLIT_PI_NORMALIZED) {
            times = c / mean;
            plus = c * d;
        } else {
            plus = d * mean;
        }
        if ((p.jobs.job[j].flags & KRONECKER_SCALARS) != 0u) {
            float grown = 1.0;
            for (uint f = 0u; f < factors; ++f)
                grown *= part;
            // Beside 2^25 the 1 is nothing.
            times *= grown > 33554432.0 ? part : root(1.0 + grown, per_factor, per_factor_low);
        }
    }
    plus = clamp_finite(plus);
    if ((p.jobs.job[j].flags & KRONECKER_LEVEL) != 0u && group == p.jobs.job[j].first_group && gl_LocalInvocationID.x == 0u) {
        F32 level = p.jobs.job[j].level;
        level.v[0] = plus;
    }

    F32 x_address = p.jobs.job[j].factor[index];
    uint order = p.jobs.job[j].order[index];
    uint count = order * order;
    F32 result = p.jobs.job[j].result;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        float x = times * x_address.v[i];
        if (on_diagonal(i, order))
            x += plus;
        result.v[i] = is_nan(x) ? x : clamp(x, -LARGEST, LARGEST);
    }
}
