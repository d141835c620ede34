// SPDX-License-Identifier: MIT
// Applies the rotations that cholesky_rotations.comp has found, where all of them exist. One invocation a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/update.h"
#define JOB CholeskyUpdateJob
#include "core/kernel.glsl"

float word(U32 x, uint i) { return uintBitsToFloat(x.v[i]); }

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 l = p.jobs.job[j].l;
    U32 row_index = p.jobs.job[j].row;
    U32 scratch = p.jobs.job[j].scratch;
    U32 apply = p.jobs.job[j].apply;
    uint n = p.jobs.job[j].n;
    uint groups = p.jobs.job[j].groups;
    uint flags = p.jobs.job[j].flags;
    uint item = group / groups;
    uint i = (group - item * groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= n || apply.v[item] == 0u)
        return;
    bool replace = (flags & UPDATE_REPLACE) != 0u;
    uint row = replace ? row_index.v[item * p.jobs.job[j].row_item] : 0u;
    uint own = item * p.jobs.job[j].l_item + i * p.jobs.job[j].l_row;
    uint s = item * CHOLESKY_SCRATCH * n;
    if (replace && i == row) {
        for (uint c = 0; c <= row; ++c)
            l.v[own + c] = scratch.v[s + CHOLESKY_ROW * n + min(c, n - 1u)];
    }
    uint first = replace ? row + 1u : 0u;
    if (i < first)
        return;
    float v0 = word(scratch, s + CHOLESKY_VECTOR * n + i);
    float v1 = replace ? word(scratch, s + (CHOLESKY_VECTOR + 1u) * n + i) : 0.0;
    if (replace)
        l.v[own + row] = floatBitsToUint(v1);
    bool adds = replace || (flags & UPDATE_DOWNDATE) == 0u;
    for (uint c = first; c < i; ++c) {
        uint at = s + min(c, n - 1u);
        float q = word(scratch, at + CHOLESKY_SINE * n);
        float value = (word(l, own + c) + (adds ? q : -q) * v0) * word(scratch, at + CHOLESKY_INVERSE * n);
        v0 = word(scratch, at + CHOLESKY_COSINE * n) * v0 - q * value;
        if (replace) {
            q = word(scratch, at + (CHOLESKY_SINE + 1u) * n);
            value = (value - q * v1) * word(scratch, at + (CHOLESKY_INVERSE + 1u) * n);
            v1 = word(scratch, at + (CHOLESKY_COSINE + 1u) * n) * v1 - q * value;
        }
        l.v[own + c] = floatBitsToUint(value);
    }
    l.v[own + i] = scratch.v[s + CHOLESKY_DIAGONAL * n + i];
}
