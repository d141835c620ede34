// SPDX-License-Identifier: MIT
// X^T v in pieces of some rows (ColumnSumsJob): each invocation has COLUMNS columns, neighbouring invocations
// neighbouring ones.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/tridiagonal.h"
#define JOB ColumnSumsJob
#include "core/kernel.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint COLUMNS = 4;
const uint RUN = 64; // rows that are summed before they are added to the rest

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 x = p.jobs.job[j].x;
    F32 v = p.jobs.job[j].v;
    F32 y = p.jobs.job[j].y;
    uint cols = p.jobs.job[j].cols;
    uint stride = p.jobs.job[j].x_stride;
    uint pieces = p.jobs.job[j].pieces;
    uint groups = p.jobs.job[j].groups;
    uint item = group / (pieces * groups);
    group -= item * pieces * groups;
    uint piece = group / groups;
    uint begin = piece * p.jobs.job[j].piece_rows;
    uint end = min(begin + p.jobs.job[j].piece_rows, p.jobs.job[j].rows);
    uint first_col = (group - piece * groups) * gl_WorkGroupSize.x * COLUMNS + gl_LocalInvocationID.x;
    uint x_at = p.jobs.job[j].x_first + item * p.jobs.job[j].x_item;
    uint v_at = p.jobs.job[j].v_first + item * p.jobs.job[j].v_item;
    uint col[COLUMNS];
    float total[COLUMNS];
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) {
        col[c] = first_col + c * gl_WorkGroupSize.x;
        total[c] = 0.0;
    }
    for (uint r0 = begin; r0 < end; r0 += RUN) {
        float sum[COLUMNS];
        [[unroll]] for (uint c = 0; c < COLUMNS; ++c)
            sum[c] = 0.0;
        for (uint r = r0; r < min(r0 + RUN, end); ++r) {
            uint row = min(r, end - 1);
            float factor = v.v[v_at + row];
            uint from = x_at + row * stride;
            [[unroll]] for (uint c = 0; c < COLUMNS; ++c)
                sum[c] += factor * x.v[from + min(col[c], cols - 1)];
        }
        [[unroll]] for (uint c = 0; c < COLUMNS; ++c)
            total[c] += sum[c];
    }
    uint to = p.jobs.job[j].y_first + item * p.jobs.job[j].y_item + piece * p.jobs.job[j].y_piece;
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c)
        if (col[c] < cols)
            y.v[to + col[c]] = total[c];
}
