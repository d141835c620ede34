// SPDX-License-Identifier: MIT
// K-FAC's clip of the step by its Kullback-Leibler divergence, one factor for all layers:
//
//   factor = min(1, sqrt(limit / |lr^2 sum of D G|)),   1 where the sum is 0
//
// and what the quadratic model says of the step -a D, a = lr factor: its change of the loss, a (a / 2 - 1) sum of D G.
// partials: of the sum over LAYER_UNIT^2 (layer_dot.comp). One workgroup an optimizer, in a fixed order.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/layer.h"

#define JOB LayerClipJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    uint count = p.jobs.job[j].count;
    F32 partials = p.jobs.job[j].partials;
    vec3 sums = vec3(0.0);
    for (uint k = gl_LocalInvocationID.x; k < count; k += gl_WorkGroupSize.x)
        sums.x += partials.v[k];
    float signed_sum = workgroup_sum(sums).x;
    float sum = abs(signed_sum);
    if (gl_LocalInvocationID.x != 0u)
        return;
    LayerHyperRef hyper = p.jobs.job[j].hyper;
    F32 clip_lr = p.jobs.job[j].clip_lr;
    float lr = clip_lr.v[0];
    if (lr == 0.0) // not set: the learning rate
        lr = hyper.h.lr;
    float factor = 1.0;
    if (sum >= 1.17549435e-38 && lr >= 1.17549435e-38) {
        // The root of the sum is below 2^64, that over LAYER_UNIT below 2^96.
        float length = clamp_finite(lr * (sqrt(min(sum, 1.7014118e38)) * LAYER_UNIT));
        factor = min(1.0, p.jobs.job[j].root_limit / max(length, 1.17549435e-38));
    }
    F32 kept = p.jobs.job[j].kept;
    kept.v[0] = factor;
    precise float products = (signed_sum * LAYER_UNIT) * LAYER_UNIT;
    kept.v[1] = clamp_finite(products);
    float a = hyper.h.lr * factor;
    precise float change = clamp_finite(products * a) * (0.5 * a - 1.0);
    kept.v[2] = clamp_finite(change);
}
