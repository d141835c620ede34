// SPDX-License-Identifier: MIT
// Triangular systems by substitution: an invocation solves for COLUMNS right-hand sides, eight rows at a time; many
// systems in one dispatch.
//
// Elements of T are the same for the whole workgroup. x is read back from memory by the invocation that wrote it:
// nothing is shared, and there are no barriers. For triangles of up to 64 rows; larger ones are made of these and of
// products.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/triangular.h"
#include "linalg/status.h"
#define JOB TriangularSolveJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"
#include "linalg/triangular_diagonal.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint COLUMNS = 1; // of 1..4

const uint W = 8;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 t = p.jobs.job[j].t;
    U32 b = p.jobs.job[j].b;
    F32 x = p.jobs.job[j].x;
    U32 status = p.jobs.job[j].status;
    uint n = p.jobs.job[j].n;
    uint columns = p.jobs.job[j].columns;
    uint flags = p.jobs.job[j].flags;
    uint groups = p.jobs.job[j].groups;
    float alpha = p.jobs.job[j].alpha;
    uint item = group / groups;
    group -= item * groups;
    uint t_first = p.jobs.job[j].t_first + item * p.jobs.job[j].t_item;
    uint t_row = p.jobs.job[j].t_row;
    uint t_col = p.jobs.job[j].t_col;
    uint b_first = p.jobs.job[j].b_first + item * p.jobs.job[j].b_item;
    uint b_row = p.jobs.job[j].b_row;
    uint b_col = p.jobs.job[j].b_col;
    uint x_first = p.jobs.job[j].x_first + item * p.jobs.job[j].x_item;
    uint x_row = p.jobs.job[j].x_row;
    uint x_col = p.jobs.job[j].x_col;
    bool unit = (flags & TRIANGULAR_UNIT) != 0;
    bool identity = (flags & TRIANGULAR_IDENTITY) != 0;
    bool reads_status = (flags & TRIANGULAR_READS_STATUS) != 0;
    uint last = n - 1;

    // Columns beyond the last one repeat it and are not stored. In place, the owner of the last one may already have
    // overwritten it, but what it is then does not matter.
    uint column[COLUMNS];
    bool mine[COLUMNS];
    [[unroll]] for (uint s = 0; s < COLUMNS; ++s) {
        uint c = (group * COLUMNS + s) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        mine[s] = c < columns;
        column[s] = min(c, columns - 1);
    }

    uint found = STATUS_OK;
    if (reads_status)
        found = status.v[item];
    else if (!unit)
        for (uint i = 0; i < n; ++i)
            found = worse_status(found, diagonal_status(load(t, t_first + min(i, last) * (t_row + t_col), DTYPE_A)));

    for (uint i0 = 0; i0 < n; i0 += W) {
        uint row[W];
        [[unroll]] for (uint q = 0; q < W; ++q)
            row[q] = min(i0 + q, last);
        float acc[COLUMNS][W];
        [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
            [[unroll]] for (uint q = 0; q < W; ++q) {
                float value = column[s] == row[q] ? 1.0 : 0.0;
                if (!identity)
                    value = load(b, b_first + row[q] * b_row + column[s] * b_col, DTYPE_B);
                acc[s][q] = alpha * value;
            }
        for (uint k = 0; k < i0; ++k) {
            uint at = min(k, last);
            float now[COLUMNS];
            [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                now[s] = x.v[x_first + at * x_row + column[s] * x_col];
            [[unroll]] for (uint q = 0; q < W; ++q) {
                float factor = load(t, t_first + row[q] * t_row + at * t_col, DTYPE_A);
                [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                    acc[s][q] -= factor * now[s];
            }
        }
        [[unroll]] for (uint q = 0; q < W; ++q) {
            [[unroll]] for (uint r = 0; r < W; ++r)
                if (r < q) {
                    float factor = load(t, t_first + row[q] * t_row + row[r] * t_col, DTYPE_A);
                    [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                        acc[s][q] -= factor * acc[s][r];
                }
            if (!unit) {
                float pivot = load(t, t_first + row[q] * (t_row + t_col), DTYPE_A);
                [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                    acc[s][q] /= pivot;
            }
            [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                if (mine[s] && i0 + q < n)
                    x.v[x_first + row[q] * x_row + column[s] * x_col] = found == STATUS_OK ? acc[s][q] : 0.0;
        }
    }

    if ((flags & TRIANGULAR_HAS_STATUS) != 0 && group == 0 && gl_LocalInvocationID.x == 0)
        status.v[item] = found;
}
