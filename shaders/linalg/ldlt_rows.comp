// SPDX-License-Identifier: MIT
// The steps of an LDL^T solve that are not triangular: permute rows, divide by D, permute back. One invocation a
// column.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/ldlt.h"
#include "linalg/status.h"
#define JOB LdltRowsJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_LDLT_STEP) const uint STEP = LDLT_GATHER;
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 b = p.jobs.job[j].b;
    F32 x = p.jobs.job[j].x;
    F32 d = p.jobs.job[j].d;
    U32 permutation = p.jobs.job[j].permutation;
    uint n = p.jobs.job[j].n;
    uint columns = p.jobs.job[j].columns;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint factor_at = item * p.jobs.job[j].factor_item * n;
    uint b_stride = p.jobs.job[j].b_stride;
    uint x_stride = p.jobs.job[j].x_stride;
    uint b_base = item * p.jobs.job[j].b_item;
    uint x_base = item * p.jobs.job[j].x_item;
    uint column = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    bool mine = column < columns;
    uint last = n - 1;

    if (STEP != LDLT_DIVIDE) {
        for (uint i = 0; i < n; ++i) {
            uint other = permutation.v[factor_at + min(i, last)];
            uint from = STEP == LDLT_SCATTER ? i : other;
            uint to = STEP == LDLT_SCATTER ? other : i;
            float value = from == column ? 1.0 : 0.0;
            if (STEP != LDLT_PERMUTATION && mine)
                value = load(b, b_base + from * b_stride + column, DTYPE_B);
            if (mine)
                x.v[x_base + to * x_stride + column] = value;
        }
        return;
    }

    uint found = STATUS_OK;
    for (uint i = 0; i < n; ++i) {
        uint at = 2 * (factor_at + min(i, last));
        float diagonal = d.v[at];
        float beside = d.v[at + 1];
        // A diagonal element of a block of two may be zero.
        bool second = i > 0 && d.v[at - (i > 0 ? 1 : 0)] != 0.0;
        if (is_nonfinite(diagonal) || is_nonfinite(beside))
            found = STATUS_NONFINITE;
        else if (diagonal == 0.0 && beside == 0.0 && !second && found == STATUS_OK)
            found = STATUS_SINGULAR;
    }
    for (uint i = 0; i < n && mine; ++i) {
        uint at = 2 * (factor_at + min(i, last));
        float beside = d.v[at + 1];
        uint to = x_base + i * x_stride + column;
        float b0 = load(b, b_base + i * b_stride + column, DTYPE_B);
        if (found != STATUS_OK) {
            x.v[to] = 0.0;
        } else if (beside == 0.0) {
            x.v[to] = b0 / d.v[at];
        } else {
            // As LAPACK's ssytrs: divided by the element beside the diagonal first.
            float b1 = load(b, b_base + (i + 1) * b_stride + column, DTYPE_B) / beside;
            float first = d.v[at] / beside;
            float second = d.v[at + 2] / beside;
            float divisor = first * second - 1.0;
            b0 /= beside;
            x.v[to] = (second * b0 - b1) / divisor;
            x.v[to + x_stride] = (first * b1 - b0) / divisor;
            ++i;
        }
    }
    if (column == 0 && (p.jobs.job[j].flags & LDLT_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = found;
    }
}
