// SPDX-License-Identifier: MIT
// NorDion2's second moment, one workgroup a matrix. Of each selected row i of O, a row of n elements:
//
//   v_i <- v_i + rate (|O_i|^2 / n - v_i);   d_i = 1 / (sqrt(v_i) + eps)
//   factor_i = d_i |O| / max(|diag(d) O|, eps)      so that the norm of O stays
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/dion2.h"

#define JOB NorDion2VarianceJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

// sqrt may be computed as x * inversesqrt(x).
float root(float x) { return x >= 1.17549435e-38 ? sqrt(max(x, 1.17549435e-38)) : 0.0; }

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 squares = p.jobs.job[j].squares;
    U32 indices = p.jobs.job[j].indices;
    F32 variance = p.jobs.job[j].variance;
    F32 factors = p.jobs.job[j].factors;
    uint count = p.jobs.job[j].count;
    float mean = p.jobs.job[j].mean;
    float rate = p.jobs.job[j].rate;
    float eps = p.jobs.job[j].eps;

    vec3 sums = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < count; k += gl_WorkGroupSize.x) {
        uint line = indices.v[k];
        float square = squares.v[k];
        float v = variance.v[line];
        v = v + rate * (square * mean - v);
        variance.v[line] = v;
        float denominator = root(v) + eps;
        float d = denominator > 0.0 ? 1.0 / denominator : 0.0;
        factors.v[k] = d;
        float length = d * root(square);
        sums += vec3(square, length * length, 0.0);
    }
    sums = workgroup_sum(sums);
    float after = max(root(sums.y), eps);
    float rescale = after > 0.0 ? root(sums.x) / after : 0.0;
    for (uint k = gl_LocalInvocationID.x; k < count; k += gl_WorkGroupSize.x)
        factors.v[k] = rescale * factors.v[k];
}
