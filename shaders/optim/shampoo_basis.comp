// SPDX-License-Identifier: MIT
// Adam's second moment in the basis of the factors' eigenvectors (SOAP), all blocks of all parameters in one dispatch:
//
//   c <- decay c + rate G^2;   F <- F / ((s c)^p + eps), s the correction of c's bias
//
// A quotient with a zero below counts as 0. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/shampoo.h"

#define JOB ShampooBasisJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"
#include "optim/parameter.glsl"
#include "optim/moment.glsl"

// x^p of x >= 0; what is not normal counts as 0, as it does for a square root.
vec4 powers(vec4 x, float high, float low) {
    if (high == 0.5 && low == 0.0)
        return safe_sqrt(x);
    vec4 result = vec4(0.0);
    for (uint k = 0u; k < 4u; ++k)
        result[k] = x[k] >= 1.17549435e-38 ? power(x[k], high, low) : 0.0;
    return result;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint first = p.jobs.job[j].range.first;
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    F32x4 gradient = p.jobs.job[j].gradient;
    F32x4 filtered = p.jobs.job[j].filtered;
    U32x4 moment = p.jobs.job[j].moment.quads;
    U32 moment_words = p.jobs.job[j].moment.words;
    uint parameter = p.jobs.job[j].moment.parameter;
    float decay = p.jobs.job[j].decay;
    float rate = p.jobs.job[j].rate;
    float eps = p.jobs.job[j].eps;
    float high = p.jobs.job[j].exponent_high;
    float low = p.jobs.job[j].exponent_low;
    ShampooHyperRef hyper = p.jobs.job[j].hyper;
    float correction = hyper.h.basis_scale;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint i = 4u * q;
        uint valid = min(4u, count - i);
        vec4 g = clamp(load_state(gradient, i, valid) * SHAMPOO_STATISTIC_UNIT, -LARGEST_GRADIENT, LARGEST_GRADIENT);
        vec4 c = clamp_finite(decay * load_moment(moment, first + i, valid) + rate * (g * g), DTYPE_F32);
        store_moment(moment, moment_words, first + i, valid, c, moment_draws(parameter, first + i));
        vec4 divisor = powers(clamp_finite(c * correction, DTYPE_F32), high, low) + eps;
        bvec4 defined = greaterThan(divisor, vec4(0.0));
        vec4 f = load_state(filtered, i, valid);
        vec4 x = mix(vec4(0.0), f / mix(vec4(1.0), divisor, defined), defined);
        store_state(filtered, i, valid, clamp_finite(x, DTYPE_F32));
    }
}
