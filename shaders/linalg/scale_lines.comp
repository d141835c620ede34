// SPDX-License-Identifier: MIT
// Every row, or every column, of matrices times its factor or over its divisor; many tensors in one dispatch.
//
// An invocation takes PER_THREAD pairs of neighbouring elements, THREADS pairs apart, so that it owns whole words of
// 16-bit data; it walks from one to the next without divisions, for which CPU drivers pay invocation by invocation.
// Rows of an odd number of elements end in a pair that is half empty.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/norms.h"
#define JOB ScaleLinesJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of `from`
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of `to`
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

float scaled(float x, float factor, uint flags, float eps, float scale) {
    if ((flags & SCALE_DIVIDE) == 0u)
        return factor * x;
    // Not max(): a NaN must stay one.
    float divisor = (flags & SCALE_ADD) != 0u ? factor + eps : (factor < eps ? eps : factor);
    return divisor == 0.0 ? 0.0 : scale * quotient(x, divisor);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 from = p.jobs.job[j].from;
    U32 factors = p.jobs.job[j].factors;
    U32 to = p.jobs.job[j].to;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint from_stride = p.jobs.job[j].from_stride;
    uint to_stride = p.jobs.job[j].to_stride;
    uint lines = p.jobs.job[j].lines;
    uint item_rows = p.jobs.job[j].item_rows;
    uint factor_items = p.jobs.job[j].factor_items;
    uint flags = p.jobs.job[j].flags;
    float eps = p.jobs.job[j].eps;
    float scale = p.jobs.job[j].scale;
    bool columns = (flags & SCALE_COLUMNS) != 0u;
    bool pairs = (flags & SCALE_PAIRS) != 0u;
    uint row_pairs = cols / 2u + (cols & 1u);
    uint all_pairs = rows * row_pairs;

    const uint T = gl_WorkGroupSize.x;
    uint first = group * T * PER_THREAD + gl_LocalInvocationID.x;
    uint row = first / row_pairs;
    uint row_pair = first - row * row_pairs;
    uint item = row / item_rows;
    uint item_row = row - item * item_rows;
    // T pairs further: so many pairs to the right, rows down, and items.
    uint right = T % row_pairs;
    uint down = T / row_pairs;
    uint down_row = down % item_rows;
    uint down_item = down / item_rows;
    for (uint r = 0; r < PER_THREAD; ++r) {
        if (first + r * T < all_pairs) {
            uint col = row_pair * 2u;
            bool both = col + 1u < cols;
            uint next = both ? 1u : 0u;
            uint line = (factor_items == 1u ? 0u : item) * lines + (columns ? col : item_row);
            float factor = uintBitsToFloat(factors.v[line]);
            float factor1 = columns ? uintBitsToFloat(factors.v[line + next]) : factor;
            uint at = row * from_stride + col;
            vec2 value = vec2(scaled(load(from, at, DTYPE_A), factor, flags, eps, scale),
                              scaled(load(from, at + next, DTYPE_A), factor1, flags, eps, scale));
            at = row * to_stride + col;
            if (both && pairs) {
                store_pair(to, at, value, DTYPE_D);
            } else {
                store(to, at, value.x, DTYPE_D);
                if (both)
                    store(to, at + 1u, value.y, DTYPE_D);
            }
        }
        row_pair += right;
        uint carry = row_pair >= row_pairs ? 1u : 0u;
        row_pair -= carry * row_pairs;
        row += down + carry;
        item_row += down_row + carry;
        item += down_item;
        if (item_row >= item_rows) {
            item_row -= item_rows;
            ++item;
        }
    }
}
