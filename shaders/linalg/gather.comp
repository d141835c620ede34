// SPDX-License-Identifier: MIT
// Rows or columns of matrices by index; many tensors in one dispatch. What lies outside is zero.
//
// An invocation takes PER_THREAD pairs of neighbouring elements of the result, THREADS pairs apart, so that it owns
// whole words of 16-bit data; it walks from one to the next without divisions.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/sort.h"
#define JOB GatherJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of `from`
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of `to`
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 from = p.jobs.job[j].from;
    U32 indices = p.jobs.job[j].indices;
    U32 to = p.jobs.job[j].to;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint item_rows = p.jobs.job[j].item_rows;
    uint from_rows = p.jobs.job[j].from_rows;
    uint from_cols = p.jobs.job[j].from_cols;
    uint from_stride = p.jobs.job[j].from_stride;
    uint from_item = p.jobs.job[j].from_item;
    uint to_stride = p.jobs.job[j].to_stride;
    uint index_item = p.jobs.job[j].index_item;
    uint flags = p.jobs.job[j].flags;
    bool columns = (flags & GATHER_COLUMNS) != 0u;
    bool pairs = (flags & GATHER_PAIRS) != 0u;
    uint row_pairs = cols / 2u + (cols & 1u);
    uint all_pairs = rows * row_pairs;

    const uint T = gl_WorkGroupSize.x;
    uint first = group * T * PER_THREAD + gl_LocalInvocationID.x;
    uint row = first / row_pairs;
    uint row_pair = first - row * row_pairs;
    uint item = row / item_rows;
    uint own_row = row - item * item_rows;
    // T pairs further: so many pairs to the right, rows down, and items.
    uint right = T % row_pairs;
    uint down = T / row_pairs;
    uint down_row = down % item_rows;
    uint down_item = down / item_rows;
    for (uint r = 0; r < PER_THREAD; ++r) {
        if (first + r * T >= all_pairs)
            break;
        uint col = row_pair * 2u;
        bool both = col + 1u < cols;
        uint next = both ? 1u : 0u;
        uint index = item * index_item + (columns ? col : own_row);
        uvec2 x_row = uvec2(columns ? own_row : indices.v[index]);
        uvec2 x_col = columns ? uvec2(indices.v[index], indices.v[index + next]) : uvec2(col, col + next);
        vec2 value = vec2(0.0);
        if (x_row.x < from_rows && x_col.x < from_cols)
            value.x = load(from, item * from_item + x_row.x * from_stride + x_col.x, DTYPE_A);
        if (x_row.y < from_rows && x_col.y < from_cols)
            value.y = load(from, item * from_item + x_row.y * from_stride + x_col.y, DTYPE_A);
        uint at = row * to_stride + col;
        if (both && pairs) {
            store_pair(to, at, value, DTYPE_D);
        } else {
            store(to, at, value.x, DTYPE_D);
            if (both)
                store(to, at + 1u, value.y, DTYPE_D);
        }
        row_pair += right;
        uint carry = row_pair >= row_pairs ? 1u : 0u;
        row_pair -= carry * row_pairs;
        row += down + carry;
        own_row += down_row + carry;
        item += down_item;
        if (own_row >= item_rows) {
            own_row -= item_rows;
            ++item;
        }
    }
}
