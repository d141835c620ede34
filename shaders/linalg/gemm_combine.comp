// SPDX-License-Identifier: MIT
// The second half of split-K products: D = alpha (P_0 + P_1 + ... ) + beta C, summed in that order, for each item of a
// batch.
//
// An invocation takes pairs of neighbouring elements of a row, a workgroup's invocations side by side.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/gemm.h"
#define JOB GemmCombineJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/active.glsl"

layout(constant_id = SPEC_DTYPE_C) const uint DTYPE_C = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 partial = p.jobs.job[j].partial;
    U32 c = p.jobs.job[j].c;
    U32 d = p.jobs.job[j].d;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint pieces = p.jobs.job[j].pieces;
    uint pairs = p.jobs.job[j].pairs;
    uint piece = p.jobs.job[j].piece;
    uint per_thread = p.jobs.job[j].per_thread;
    uint flags = p.jobs.job[j].flags;
    float alpha = p.jobs.job[j].alpha;
    float beta = p.jobs.job[j].beta;
    uint row_pairs = (n + 1) / 2;
    bool symmetric = (flags & GEMM_SYMMETRIC) != 0;

    for (uint q = 0; q < per_thread; ++q) {
        uint e = (group * per_thread + q) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (e >= pairs)
            break;
        uint col = e % row_pairs * 2;
        uint row = e / row_pairs % m;
        uint item = e / row_pairs / m;
        if (is_inactive(j, item, GEMM_ACTIVE))
            continue;
        // Of a symmetric result, what lies below the diagonal comes from above it.
        bool keep0 = !(symmetric && col < row);
        bool keep1 = col + 1 < n && !(symmetric && col + 1 < row);
        uint right = col + 1 < n ? 1 : 0;
        uint at = (item * m + row) * n + col;
        vec2 sums = vec2(0.0);
        for (uint s = 0; s < pieces; ++s) {
            uint here = at + min(s, pieces - 1) * piece; // lavapipe runs a loop once more than needed, with nobody active
            sums += vec2(partial.v[here], partial.v[here + right]);
        }
        sums *= alpha;
        if ((flags & GEMM_HAS_C) != 0) {
            uint from = item * p.jobs.job[j].c_batch + row * p.jobs.job[j].c_row + col;
            if (keep0)
                sums.x += beta * load(c, from, DTYPE_C);
            if (keep1)
                sums.y += beta * load(c, from + 1, DTYPE_C);
        }
        uint d_item = item * p.jobs.job[j].d_batch;
        uint d_row = p.jobs.job[j].d_row;
        uvec2 bits = uvec2(to_bits(sums.x, DTYPE_D), to_bits(sums.y, DTYPE_D));
        store_two(d, d_item + row * d_row + col, bits, keep0, keep1, (flags & GEMM_D_PAIRS) != 0, DTYPE_D);
        if (symmetric) {
            uint below = d_item + col * d_row + row;
            if (keep0 && col != row)
                store_bits(d, below, bits.x, DTYPE_D);
            if (keep1 && col + 1 != row)
                store_bits(d, below + d_row, bits.y, DTYPE_D);
        }
    }
}
