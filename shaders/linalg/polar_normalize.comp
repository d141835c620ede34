// SPDX-License-Identifier: MIT
// First iterate of Newton-Schulz: X = A / nu for a batch of matrices, nu = factor |A|_F + eps or max(factor |A|_F,
// eps).
//
// Each workgroup adds up the partial sums of its matrix (a few hundred floats, always in the same order) and scales a
// contiguous range of it. One invocation handles two neighbours of a row at a time, so that 16-bit results are written
// in whole words. In place works: an invocation writes only what it has read.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/shared.h"
#include "linalg/polar_normalize.h"
#include "linalg/status.h"

#define JOB PolarNormalizeJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "core/half.glsl"
#include "core/lanes.glsl"
#include "core/double_float.glsl"
#include "linalg/polar_norm.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint X_DTYPE = 0;
layout(constant_id = SPEC_DTYPE_D) const uint RESULT_DTYPE = 0;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 x = p.jobs.job[j].x;
    F32 partials = p.jobs.job[j].partials;
    U32 result = p.jobs.job[j].result;
    uint local_group = group - p.jobs.job[j].first_group;
    uint groups = p.jobs.job[j].groups_per_item;
    uint cols = p.jobs.job[j].cols;
    uint x_stride = p.jobs.job[j].x_stride;
    uint result_stride = p.jobs.job[j].result_stride;
    uint item = local_group / groups;
    uint x_base = item * p.jobs.job[j].x_item;
    uint result_base = item * p.jobs.job[j].result_item;

    uint flags = p.jobs.job[j].flags;
    uint partial_count = p.jobs.job[j].partials_per_item;
    vec3 acc = vec3(0.0);
    for (uint i = gl_LocalInvocationID.x; i < partial_count; i += gl_WorkGroupSize.x) {
        uint at = 3 * (item * partial_count + i);
        acc += vec3(partials.v[at], partials.v[at + 1], partials.v[at + 2]);
    }
    acc = workgroup_sum(acc);
    vec2 scale = polar_scale(acc, (flags & POLAR_CLAMPED) != 0, p.jobs.job[j].norm_factor, p.jobs.job[j].eps);
    if ((flags & POLAR_STATUS) != 0 && local_group == item * groups && gl_LocalInvocationID.x == 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = polar_status(scale);
    }

    uint pairs_per_row = (cols + 1) / 2;
    uint pairs = (p.jobs.job[j].count / cols) * pairs_per_row;
    uint share = (pairs + groups - 1) / groups;
    uint begin = (local_group - item * groups) * share;
    uint end = min(begin + share, pairs);
    // Without gaps and of f32, as nearly all are: element by element.
    if (LANES != 0 && X_DTYPE == DTYPE_F32 && RESULT_DTYPE == DTYPE_F32 && (flags & POLAR_TWO_WORDS) == 0 &&
        x_stride == cols && result_stride == cols && cols % 2 == 0) {
        uint x_end = x_base + p.jobs.job[j].count;
        for (uint lanes = 2 * begin + gl_SubgroupID * LANES; lanes < 2 * end; lanes += gl_WorkGroupSize.x) {
            uint i = lanes + gl_SubgroupInvocationID;
            if (i >= 2 * end)
                break;
            float value;
            if (lanes + LANES <= 2 * end)
                value = uintBitsToFloat(load_lane_words(x, x_base + lanes, x_end));
            else
                value = load(x, x_base + i, X_DTYPE);
            store(result, result_base + i, polar_scaled(value, scale), RESULT_DTYPE);
        }
        return;
    }
    // A word may be written as a whole where both of its halves are elements of this row.
    bool whole_words = RESULT_DTYPE == DTYPE_F32 || ((result_base | result_stride) & 1u) == 0;
    for (uint i = begin + gl_LocalInvocationID.x; i < end; i += gl_WorkGroupSize.x) {
        uint row = i / pairs_per_row;
        uint col = 2 * (i - row * pairs_per_row);
        uint from = x_base + row * x_stride + col;
        uint to = result_base + row * result_stride + col;
        bool two = col + 1 < cols;
        precise float first = load(x, from, X_DTYPE) * scale.x; // as in polar_scaled()
        precise float second = two ? load(x, from + 1, X_DTYPE) * scale.x : 0.0;
        if ((flags & POLAR_TWO_WORDS) != 0) {
            uint low = to + p.jobs.job[j].count;
            store(result, low, df_product_of(first, scale.y).y, RESULT_DTYPE);
            if (two)
                store(result, low + 1, df_product_of(second, scale.y).y, RESULT_DTYPE);
        }
        first = first * scale.y;
        second = second * scale.y;
        if (two && whole_words) {
            store_pair(result, to, vec2(first, second), RESULT_DTYPE);
        } else {
            store(result, to, first, RESULT_DTYPE);
            if (two)
                store(result, to + 1, second, RESULT_DTYPE);
        }
    }
}
