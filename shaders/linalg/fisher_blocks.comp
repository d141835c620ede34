// SPDX-License-Identifier: MIT
// Gradients as rows of blocks of coordinates (linalg/fisher.h). A workgroup takes THREADS * PER_THREAD elements of a
// row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/fisher.h"

#define JOB FisherBlocksJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/fisher.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 g = p.jobs.job[j].g;
    U32 kept = p.jobs.job[j].kept;
    F32 y = p.jobs.job[j].y;
    uint d = p.jobs.job[j].d;
    uint rows = p.jobs.job[j].rows;
    uint block = p.jobs.job[j].block;
    bool has_kept = p.jobs.job[j].has_kept != 0u;
    uint row = group / p.jobs.job[j].groups;
    group -= row * p.jobs.job[j].groups;
    uint from = row * p.jobs.job[j].stride;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint i = (group * PER_THREAD + r) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (i < d) {
            FisherColumn column = fisher_column(i, d, rows, block);
            float value = load(g, from + i, DTYPE_A);
            if (has_kept)
                value = kept.v[i] != 0u ? value : 0.0;
            y.v[column.first + row * column.width] = value;
        }
    }
}
