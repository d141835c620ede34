// SPDX-License-Identifier: MIT
// What the blocked LDL^T begins with: the symmetric matrix that one triangle of A stands for, in the upper triangle of
// L's memory in f32, the largest magnitude in it, and no interchanges. A workgroup a tile of 32 x 32 of the triangle,
// through shared memory, so that both are passed over along their rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/ldlt.h"
#define JOB LdltStartJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

const uint B = 32;

shared float tile[B * (B + 1)];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 a = p.jobs.job[j].a;
    F32 l = p.jobs.job[j].l;
    U32 permutation = p.jobs.job[j].permutation;
    U32 state = p.jobs.job[j].state;
    uint n = p.jobs.job[j].n;
    uint side = (n + B - 1) / B;
    uint groups = side * (side + 1) / 2;
    uint item = group / groups;
    uint a_stride = p.jobs.job[j].a_stride;
    uint a_base = item * p.jobs.job[j].a_item;
    uint l_stride = p.jobs.job[j].l_stride;
    uint l_base = item * p.jobs.job[j].l_item;
    bool upper = (p.jobs.job[j].flags & LDLT_UPPER) != 0;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    // The tile above the diagonal, or its mirror image. Magnitudes are ordered as their bits are, NaN last.
    uvec2 place = triangle_tile(group - item * groups, side);
    uint row0 = B * place.x;
    uint col0 = B * place.y;
    uint largest = 0;
    for (uint e = t; e < B * B; e += threads) {
        uint r = e / B;
        uint c = e % B;
        uint row = (upper ? row0 : col0) + r;
        uint col = (upper ? col0 : row0) + c;
        if (row < n && col < n && (upper ? col >= row : col <= row)) {
            float x = load(a, a_base + row * a_stride + col, DTYPE_A);
            largest = max(largest, floatBitsToUint(x) & 0x7fffffffu);
            tile[upper ? r * (B + 1) + c : c * (B + 1) + r] = x;
        }
    }
    barrier();
    for (uint e = t; e < B * B; e += threads) {
        uint row = row0 + e / B;
        uint col = col0 + e % B;
        if (col < n && row <= col)
            l.v[l_base + row * l_stride + col] = tile[(e / B) * (B + 1) + e % B];
        if (row == col && row < n)
            permutation.v[item * n + row] = row;
    }
    atomicMax(state.v[item * LDLT_STATE_WORDS + LDLT_STATE_LARGEST], largest);
}
