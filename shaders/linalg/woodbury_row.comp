// SPDX-License-Identifier: MIT
// A new row of gradient windows in their Gram matrices, row and column. One workgroup a window.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyRowJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    F32 partials = p.jobs.job[j].partials;
    F32 gram = p.jobs.job[j].gram;
    U32 slot = p.jobs.job[j].slot;
    F32 newest = p.jobs.job[j].newest;
    uint rows = p.jobs.job[j].rows;
    uint chunks = p.jobs.job[j].chunks;
    bool has_newest = (p.jobs.job[j].flags & WOODBURY_HAS_NEWEST) != 0;
    uint item = group - p.jobs.job[j].first_group;
    uint row = woodbury_newest(slot.v[0], rows);
    for (uint i = gl_LocalInvocationID.x; i < rows; i += gl_WorkGroupSize.x) {
        uint col = min(i, rows - 1);
        float sum = 0.0;
        for (uint c = 0; c < chunks; ++c)
            sum += partials.v[(item * chunks + min(c, chunks - 1)) * rows + col];
        gram.v[(item * rows + row) * rows + col] = sum;
        gram.v[(item * rows + col) * rows + row] = sum;
        if (has_newest)
            newest.v[item * rows + col] = col == row ? 1.0 : 0.0;
    }
}
