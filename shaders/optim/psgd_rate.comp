// SPDX-License-Identifier: MIT
// The end of a power iteration, and what a factor is changed by; all factors in one dispatch, a workgroup each.
//
//   bound = f max over vectors |after| / |before|
//   statistic:  ell = bound + shift (a diagonal factor: the largest partial maximum)
//               L <- max(decay L + (1 - decay) ell, ell);  change = rate f / L, shift = rate shift / L
//   rotation (R = N f / bound):  t1 = tr R Q, t2 = tr R R Q;  a = largest, or min(-t1 / t2, largest) where t2 < 0
//     cubic:    t3 = tr R R R Q;  a = min((-t2 - sqrt(t2^2 - 1.5 t1 t3)) / (0.75 t3), largest)
//               and 0 unless t1 > 0 and t3 < 0
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdRateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    uint vectors = p.jobs.job[j].vectors;
    uint flags = p.jobs.job[j].flags;
    F32 before = p.jobs.job[j].before;
    F32 after = p.jobs.job[j].after;
    F32 scalars = p.jobs.job[j].scalars;
    uint t = gl_LocalInvocationID.x;

    // The largest quotient of norms; of a diagonal factor the largest partial maximum.
    float ratio = 0.0;
    float bad = 0.0;
    bool diagonal = (flags & PSGD_DIAGONAL) != 0u;
    if (diagonal) {
        for (uint k = 0u; k < vectors; ++k) {
            float x = after.v[k];
            bad = is_nonfinite(x) ? 1.0 : bad;
            ratio = max(ratio, x);
        }
    } else {
        for (uint k = 0u; k < vectors; ++k) {
            float x = 0.0;
            float y = 0.0;
            for (uint c = t; c < order; c += gl_WorkGroupSize.x) {
                float u = before.v[k * order + c];
                float w = after.v[k * order + c];
                x += u * u;
                y += w * w;
            }
            vec3 sums = workgroup_sum(vec3(x, y, 0.0));
            ratio = max(ratio, sums.x > 0.0 && sums.y > 0.0 ? sqrt(sums.y) / sqrt(sums.x) : 0.0);
            bad = is_nonfinite(sums.x) || is_nonfinite(sums.y) ? 1.0 : bad;
        }
    }

    vec3 traces = vec3(0.0);
    if ((flags & PSGD_ROTATION) != 0u) {
        F32 first = p.jobs.job[j].first;
        F32 second = p.jobs.job[j].second;
        F32 third = p.jobs.job[j].third;
        for (uint i = t; i < order; i += gl_WorkGroupSize.x) {
            traces.x += first.v[i * order + i];
            traces.y += second.v[i * order + i];
            if ((flags & PSGD_CUBIC) != 0u)
                traces.z += third.v[i * order + i];
        }
        traces = workgroup_sum(traces);
    }
    if (t != 0u)
        return;

    if ((flags & PSGD_ROTATION) != 0u) {
        float largest = p.jobs.job[j].largest;
        U32 running = p.jobs.job[j].running;
        bool stopped = false;
        if ((flags & PSGD_LIMIT) != 0u)
            stopped = running.v[0] == 0u;
        float inverse = ratio > 0.0 ? 1.0 / ratio : 0.0;
        float t1 = traces.x * inverse;
        float t2 = traces.y * inverse * inverse;
        float t3 = traces.z * inverse * inverse * inverse;
        float a = t2 < 0.0 ? min(-t1 / t2, largest) : largest;
        if ((flags & PSGD_CUBIC) != 0u) {
            a = 0.0;
            if (t1 > 0.0 && t3 < 0.0)
                a = min((-t2 - sqrt(t2 * t2 - 1.5 * t1 * t3)) / (0.75 * t3), largest);
        }
        float b = a * inverse;
        bool good = !stopped && !is_nonfinite(b) && !is_nonfinite(t1) && !is_nonfinite(t2) && !is_nonfinite(t3);
        scalars.v[PSGD_FACTOR_ROTATION] = good ? b : 0.0;
        scalars.v[PSGD_FACTOR_ROTATION + 1u] = good ? 0.5 * b * b : 0.0;
        scalars.v[PSGD_FACTOR_ROTATION + 2u] = good ? 0.125 * b * b * b : 0.0;
        if (!stopped && is_nonfinite(scalars.v[PSGD_FACTOR_UNIT]))
            scalars.v[PSGD_FACTOR_GOOD] = 0.0;
        return;
    }

    float unit = 1.0;
    if (!diagonal)
        unit = scalars.v[PSGD_FACTOR_UNIT];
    float shift = p.jobs.job[j].shift;
    float ell = unit * ratio + shift;
    bool good = bad == 0.0 && !is_nonfinite(ell);
    float smooth_bound = ell;
    if ((flags & PSGD_SMOOTH) != 0u) {
        F32 smoothness = p.jobs.job[j].smoothness;
        float decay = p.jobs.job[j].decay;
        smooth_bound = max(decay * smoothness.v[0] + (1.0 - decay) * ell, ell);
        if (good)
            smoothness.v[0] = smooth_bound;
    }
    float rate = p.jobs.job[j].rate;
    float mu = good && smooth_bound > 0.0 ? rate / smooth_bound : 0.0;
    // rate unit / L first: 1 / L may be no float.
    float change = good && smooth_bound > 0.0 ? rate * (unit / smooth_bound) : 0.0;
    scalars.v[PSGD_FACTOR_CHANGE] = clamp_finite(change);
    scalars.v[PSGD_FACTOR_SHIFT] = good && smooth_bound > 0.0 ? clamp_finite(rate * (shift / smooth_bound)) : 0.0;
    scalars.v[PSGD_FACTOR_GOOD] = good ? 1.0 : 0.0;
    if (diagonal)
        scalars.v[PSGD_FACTOR_CHANGE] = clamp_finite(mu);
}
