// SPDX-License-Identifier: MIT
// triangular_solve.comp for CPU drivers: one subgroup a workgroup, an invocation solves for COLUMNS right-hand sides,
// as many rows at a time as the subgroup has invocations. Each of them loads one row of T and hands it around by
// shuffles, and the unknowns stay in memory of the invocation: both cost a tenth of a load (shaders/README.md).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linalg/triangular.h"
#include "linalg/status.h"
#define JOB TriangularSolveJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"
#include "linalg/triangular_diagonal.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint COLUMNS = 4;
layout(constant_id = SPEC_SUBGROUP) const uint W = 8;

float own[COLUMNS * TRIANGULAR_BLOCK]; // the unknowns, column after column

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
    uint lane = gl_SubgroupInvocationID;
    uint last = n - 1;

    // Columns beyond the last one repeat it and are not stored. In place, the owner of the last one may already have
    // overwritten it, but what it is then does not matter.
    uint column[COLUMNS];
    bool mine[COLUMNS];
    [[unroll]] for (uint s = 0; s < COLUMNS; ++s) {
        uint c = (group * COLUMNS + s) * W + lane;
        mine[s] = c < columns;
        column[s] = min(c, columns - 1);
    }

    uint found = STATUS_OK;
    if (reads_status) {
        found = status.v[item];
    } else if (!unit) {
        uint own_found = STATUS_OK;
        for (uint i = 0; i < n; i += W)
            own_found = worse_status(
                own_found, diagonal_status(load(t, t_first + min(i + lane, last) * (t_row + t_col), DTYPE_A)));
        for (uint i = 0; i < W; ++i)
            found = worse_status(found, subgroupShuffle(own_found, i));
    }

    for (uint i0 = 0; i0 < n; i0 += W) {
        uint t_at = t_first + min(i0 + lane, last) * t_row;
        float acc[COLUMNS][W];
        [[unroll]] for (uint q = 0; q < W; ++q) {
            uint row = min(i0 + q, last);
            [[unroll]] for (uint s = 0; s < COLUMNS; ++s) {
                float value = column[s] == row ? 1.0 : 0.0;
                if (!identity)
                    value = load(b, b_first + row * b_row + column[s] * b_col, DTYPE_B);
                acc[s][q] = alpha * value;
            }
        }
        for (uint k = 0; k < i0; ++k) {
            float factors = load(t, t_at + min(k, last) * t_col, DTYPE_A);
            float now[COLUMNS];
            [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                now[s] = own[s * TRIANGULAR_BLOCK + k];
            [[unroll]] for (uint q = 0; q < W; ++q) {
                float factor = subgroupShuffle(factors, q);
                [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                    acc[s][q] -= factor * now[s];
            }
        }
        [[unroll]] for (uint q = 0; q < W; ++q) {
            float factors = load(t, t_at + min(i0 + q, last) * t_col, DTYPE_A);
            if (!unit) {
                float pivot = subgroupShuffle(factors, q);
                [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                    acc[s][q] /= pivot;
            }
            [[unroll]] for (uint r = q + 1; r < W; ++r) {
                float factor = subgroupShuffle(factors, r);
                [[unroll]] for (uint s = 0; s < COLUMNS; ++s)
                    acc[s][r] -= factor * acc[s][q];
            }
            [[unroll]] for (uint s = 0; s < COLUMNS; ++s) {
                own[s * TRIANGULAR_BLOCK + i0 + q] = acc[s][q];
                if (mine[s] && i0 + q < n)
                    x.v[x_first + (i0 + q) * x_row + column[s] * x_col] = found == STATUS_OK ? acc[s][q] : 0.0;
            }
        }
    }

    if ((flags & TRIANGULAR_HAS_STATUS) != 0 && group == 0 && lane == 0)
        status.v[item] = found;
}
