// SPDX-License-Identifier: MIT
// W = the symmetric matrix that one triangle of A stands for, in f32, its diagonal, and whether all of it is finite. A
// workgroup a tile of 32 x 32 of the triangle and its mirror image: through shared memory, so that both are written
// along their rows. With CHOLESKY_ONE_TRIANGLE only what is on and above the diagonal: that is all that CPU drivers
// need, and stores are dear.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/cholesky.h"
#define JOB CholeskyStartJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/lanes.glsl"
#include "core/reduce.glsl"
#include "core/tile.glsl"
#include "linalg/active.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

const uint B = CHOLESKY_PANEL;

shared float tile[B * (B + 1)];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 a = p.jobs.job[j].a;
    F32 w = p.jobs.job[j].w;
    F32 diagonal = p.jobs.job[j].diagonal;
    U32 nonfinite = p.jobs.job[j].nonfinite;
    uint n = p.jobs.job[j].n;
    uint side = (n + B - 1) / B;
    uint groups = side * (side + 1) / 2;
    bool upper = (p.jobs.job[j].flags & CHOLESKY_UPPER) != 0;
    uint item = group / groups;
    if (is_inactive(j, item, CHOLESKY_HAS_ACTIVE))
        return;
    uint a_stride = p.jobs.job[j].a_stride;
    uint a_base = item * p.jobs.job[j].a_item;
    uint w_base = item * n * n;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    // The tile of A: above the diagonal, or mirrored below it.
    uvec2 place = triangle_tile(group - item * groups, side);
    bool one_triangle = (p.jobs.job[j].flags & CHOLESKY_ONE_TRIANGLE) != 0;
    bool found = false;
    uint row0 = B * (upper ? place.x : place.y);
    uint col0 = B * (upper ? place.y : place.x);
    bool whole = LANES != 0 && DTYPE_A == DTYPE_F32 && one_triangle && upper && col0 != row0 && col0 + B <= n;
    uint a_end = a_base + (n - 1) * a_stride + n; // n is more than 64, what one workgroup takes
    for (uint e = gl_SubgroupID * LANES; whole && e < B * B; e += threads) { // nothing to leave out, or to mirror
        uint row = row0 + e / B;
        uint col = col0 + e % B;
        float x = uintBitsToFloat(load_lane_words(a, a_base + row * a_stride + col, a_end));
        found = found || is_nonfinite(x);
        w.v[w_base + row * n + col + gl_SubgroupInvocationID] = x;
    }
    for (uint e = t; !whole && e < B * B; e += threads) {
        uint row = row0 + e / B;
        uint col = col0 + e % B;
        bool stored = row < n && col < n && (upper ? col >= row : col <= row);
        if (stored) {
            float x = load(a, a_base + row * a_stride + col, DTYPE_A);
            found = found || is_nonfinite(x);
            if (one_triangle)
                w.v[w_base + min(row, col) * n + max(row, col)] = x;
            else
                tile[(e / B) * (B + 1) + e % B] = x;
            if (!one_triangle && row0 == col0)
                tile[(e % B) * (B + 1) + e / B] = x;
            if (row == col)
                diagonal.v[item * n + row] = x;
        }
    }
    if (found)
        atomicOr(nonfinite.v[item], 1);
    if (one_triangle)
        return;
    barrier();
    for (uint e = t; e < B * B; e += threads) {
        uint r = e / B;
        uint c = e % B;
        if (row0 + r < n && col0 + c < n)
            w.v[w_base + (row0 + r) * n + col0 + c] = tile[r * (B + 1) + c];
        if (row0 != col0 && col0 + r < n && row0 + c < n)
            w.v[w_base + (col0 + r) * n + row0 + c] = tile[c * (B + 1) + r];
    }
}
