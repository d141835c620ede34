// SPDX-License-Identifier: MIT
// The second moment of lines (rows or columns) of a matrix O, and the factors x that divide each line by its root and
// give a segment of lines back the norm that it had:
//
//   v <- v + rate (mean - v)      mean = |O_i|^2 / elements of a line
//   d = sqrt(v) + eps             or sqrt(max(v, eps))
//   x = |O| / (|P| + eps) / d     or |O| / max(|P|, eps) / d, with P_i = O_i / d_i; norms of a segment
//
// All from the sums of squares of the lines. `lanes` invocations a segment, in two rounds over its lines.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/line_variance.h"

#define JOB LineVarianceJob
#include "core/kernel.glsl"
#include "core/half.glsl"

shared vec2 scratch[gl_WorkGroupSize.x];

// sqrt may be computed as x * inversesqrt(x), which is NaN at 0.
float root(float x) { return x >= 1.17549435e-38 ? sqrt(x) : 0.0; }

float inverse_root(float v, float eps, uint flags) {
    float d = (flags & LINE_VARIANCE_CLAMPED) != 0u ? root(max(v, eps)) : root(v) + eps;
    return d >= 1.17549435e-38 ? 1.0 / d : 0.0;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 squares = p.jobs.job[j].squares;
    F32 variance = p.jobs.job[j].variance;
    F32 factors = p.jobs.job[j].factors;
    U32 indices = p.jobs.job[j].indices;
    uint segments = p.jobs.job[j].segments;
    uint lines = p.jobs.job[j].lines;
    uint lanes = p.jobs.job[j].lanes;
    float mean = p.jobs.job[j].mean;
    float rate = p.jobs.job[j].rate;
    float eps = p.jobs.job[j].eps;
    uint flags = p.jobs.job[j].flags;
    bool indexed = (flags & LINE_VARIANCE_INDEXED) != 0u;
    uint t = gl_LocalInvocationID.x;
    uint lane = t % lanes;
    uint segment = group * (gl_WorkGroupSize.x / lanes) + t / lanes;
    uint end = segment < segments ? lines : 0u;
    uint base = segment * lines;

    vec2 sums = vec2(0.0); // of the squares of O and of P
    for (uint i = lane; i < end; i += lanes) {
        float q = squares.v[base + i];
        uint at = indices.v[base + i];
        at = indexed ? at : base + i;
        float v = variance.v[at];
        v = v + rate * (q * mean - v);
        variance.v[at] = v;
        float scaled = root(q) * inverse_root(v, eps, flags);
        sums += vec2(q, scaled * scaled);
    }
    scratch[t] = sums;
    barrier();
    for (uint half_size = lanes / 2u; half_size > 0u; half_size /= 2u) {
        if (lane < half_size)
            scratch[t] += scratch[t + half_size];
        barrier();
    }
    sums = scratch[t - lane];
    float target = p.jobs.job[j].target;
    float norm = target > 0.0 ? target : root(sums.x);
    float now = root(sums.y);
    float divisor = (flags & LINE_VARIANCE_CLAMPED_RESCALE) != 0u ? max(now, eps) : now + eps;
    float rescale = divisor >= 1.17549435e-38 ? norm / divisor : 0.0;
    for (uint i = lane; i < end; i += lanes) {
        uint at = indices.v[base + i];
        at = indexed ? at : base + i;
        factors.v[base + i] = clamp_finite(rescale * inverse_root(variance.v[at], eps, flags));
    }
}
