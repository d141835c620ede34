// SPDX-License-Identifier: MIT
// Renews the inverse factors P, all of them in one dispatch. With z = 1, or zeta where the largest sum of absolute
// values of a row is above the threshold (published: 0.95 always), P' = z P + (1 - z) I, y = P' v and q = v^T y:
//
//   exact       P <- P' / gamma - ((1 - gamma) / gamma^2) / (1 + ((1 - gamma) / gamma) q) y y^T
//   published   P <- P' - y y^T / (1 + q), but in the first step P
//   printed     P <- gamma P' + (1 - gamma) / (gamma^2 (1 + gamma (1 - gamma) q)) y y^T
//
// P' v is z times what mkor_product.comp found, and (1 - z) v. Both triangles come from the same products, so P stays
// symmetric to the bit. Where q is negative or not finite P stays, and that is counted. Every workgroup combines the
// rows' sums by itself, in the same order; an invocation has two elements in each of `rounds`.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mkor.h"

#define JOB MkorRefreshJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

// P ends here: far above what the threshold allows, and in range for all three types.
const float LARGEST = 65504.0;

shared float largest[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    MkorHyperRef hyper = p.jobs.job[j].hyper;
    if (!mkor_refreshes(p.control.c.step, p.jobs.job[j].turns, p.jobs.job[j].warmup, hyper.h.second_order))
        return;
    uint recurrence = p.jobs.job[j].recurrence;
    if (recurrence == MKOR_PUBLISHED && p.control.c.step == 1u)
        return;
    uint lane = gl_LocalInvocationID.x;
    uint order = p.jobs.job[j].order;
    F32 v = p.jobs.job[j].v;
    F32 rows = p.jobs.job[j].sums;
    vec3 sums = vec3(0.0); // v^T P v, v^T v
    float most = 0.0;
    for (uint k = lane; k < order; k += gl_WorkGroupSize.x) {
        float vk = v.v[k];
        sums += vec3(vk * rows.v[2u * k], vk * vk, 0.0);
        most = max(most, rows.v[2u * k + 1u]);
    }
    sums = workgroup_sum(sums);
    largest[lane] = most;
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) {
        if (lane < half_size)
            largest[lane] = max(largest[lane], largest[lane + half_size]);
        barrier();
    }

    float z = recurrence == MKOR_PUBLISHED ? 0.95 : largest[0] > p.jobs.job[j].threshold ? p.jobs.job[j].zeta : 1.0;
    float gamma = p.jobs.job[j].gamma;
    float q = z * sums.x + (1.0 - z) * sums.y;
    if (is_nonfinite(q) || q < 0.0) {
        if (group == p.jobs.job[j].first_group && lane == 0u) {
            U32 failures = p.jobs.job[j].failures;
            failures.v[0] += uint(failures.v[0] != 0xffffffffu);
        }
        return;
    }
    float kept = 1.0, factor;
    if (recurrence == MKOR_PUBLISHED) {
        factor = -1.0 / (1.0 + q);
    } else if (recurrence == MKOR_PRINTED) {
        kept = gamma;
        factor = (1.0 - gamma) / (gamma * gamma * (1.0 + gamma * (1.0 - gamma) * q));
    } else {
        kept = 1.0 / gamma;
        factor = -(1.0 - gamma) / (gamma * (gamma + (1.0 - gamma) * q));
    }

    uint count = order * order;
    uint rounds = p.jobs.job[j].rounds;
    uint begin = (group - p.jobs.job[j].first_group) * rounds;
    U32 matrix = p.jobs.job[j].p;
    for (uint r = 0u; r < rounds; ++r) {
        uint e = 2u * ((begin + r) * gl_WorkGroupSize.x + lane);
        if (e >= count)
            break;
        bool pair = e + 1u < count;
        vec2 value;
        for (uint h = 0u; h < 2u; ++h) {
            uint at = pair ? e + h : e;
            uint row = at / order;
            uint col = at - row * order;
            precise float y_row = z * rows.v[2u * row] + (1.0 - z) * v.v[row];
            precise float y_col = z * rows.v[2u * col] + (1.0 - z) * v.v[col];
            precise float old = z * load(matrix, at, DTYPE_A) + (row == col ? 1.0 - z : 0.0);
            precise float change = factor * clamp_finite(y_row * y_col);
            value[h] = clamp(clamp_finite(kept * old + change), -LARGEST, LARGEST);
        }
        if (pair)
            store_pair(matrix, e, value, DTYPE_A);
        else
            store(matrix, e, value.x, DTYPE_A);
    }
}
