// SPDX-License-Identifier: MIT
// Means of captures: v_j = weight sum over rows of cut(factor x_j), cut to +-clip, all layers in one dispatch. Only in
// steps that renew inverses, and in micro-batches, all of which count (layer_mean.comp). Rows may be cut into pieces,
// which structured_total.comp adds up. One invocation a column and piece; sums of 64 rows are added up.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/mkor.h"

#define JOB MkorMeanJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"
#include "core/math.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint flags = p.jobs.job[j].flags;
    MkorHyperRef hyper = p.jobs.job[j].hyper;
    if ((flags & MKOR_MICRO_BATCH) == 0u &&
        !mkor_refreshes(p.control.c.step, p.jobs.job[j].turns, p.jobs.job[j].warmup, hyper.h.second_order))
        return;
    U32 from = p.jobs.job[j].from;
    F32 to = p.jobs.job[j].to;
    F32 unscale = p.jobs.job[j].unscale;
    uint features = p.jobs.job[j].features;
    uint columns = p.jobs.job[j].columns;
    float clip = p.jobs.job[j].clip;
    float factor = p.jobs.job[j].factor;
    float unit = (flags & MKOR_UNSCALE) != 0u      ? unscale.v[0]
                 : (flags & MKOR_LOSS_SCALE) != 0u ? reciprocal(unscale.v[0])
                                                   : 1.0;

    uint tiles = (columns + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
    uint piece = group / tiles;
    uint column = (group - piece * tiles) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (column >= columns)
        return;
    uint first = piece * p.jobs.job[j].piece_rows;
    uint end = min(first + p.jobs.job[j].piece_rows, p.jobs.job[j].rows);
    bool is_bias = column >= features;
    float sum = 0.0;
    for (uint r0 = first; r0 < end; r0 += 64u) {
        float part = 0.0;
        uint r1 = min(r0 + 64u, end);
        for (uint r = r0; r < r1; ++r) {
            float x = load(from, r * features + (is_bias ? 0u : column), DTYPE_A);
            precise float scaled = (x * factor) * unit;
            // NaNs stay: the refresh is then left out, and counted.
            float held = is_nan(scaled) ? scaled : clamp(clamp_finite(scaled), -clip, clip);
            part += is_bias ? min(1.0, clip) : held;
        }
        sum += part;
    }
    to.v[piece * columns + column] = p.jobs.job[j].weight * sum;
}
