// SPDX-License-Identifier: MIT
// What the columns before in the panel change (TridiagonalCorrectJob), in rows i after `column`:
//
//   p_i <- p_i - sum_q z'_iq (Z^T v)_q       next_i = a_i,column+1 - sum_q z_iq z'_column+1,q
//
// An invocation has PER_THREAD rows. The pieces of Z^T v are added up in every workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/tridiagonal.h"
#define JOB TridiagonalCorrectJob
#include "core/kernel.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1;

const uint B = TRIDIAGONAL_PANEL;

shared float inner[2 * B];    // Z^T v
shared float next_row[2 * B]; // of Z'

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 a = p.jobs.job[j].a;
    F32 z = p.jobs.job[j].z;
    F32 z_swapped = p.jobs.job[j].z_swapped;
    F32 sums = p.jobs.job[j].sums;
    F32 inner_sums = p.jobs.job[j].inner;
    F32 product = p.jobs.job[j].product;
    F32 next = p.jobs.job[j].next;
    uint order = p.jobs.job[j].order;
    uint size = p.jobs.job[j].size;
    uint row0 = p.jobs.job[j].column + 1;
    uint done = p.jobs.job[j].done;
    uint pieces = p.jobs.job[j].pieces;
    uint groups = p.jobs.job[j].groups;
    bool has_next = (p.jobs.job[j].flags & TRIDIAGONAL_NEXT) != 0;
    uint item = group / groups;
    group -= item * groups;
    uint t = gl_LocalInvocationID.x;
    uint sums_at = item * p.jobs.job[j].most_pieces * size;
    uint inner_at = item * p.jobs.job[j].most_pieces * 2 * B;
    uint z_at = item * size * 2 * B;

    if (done > 0) {
        for (uint c = t; c < 2 * B; c += gl_WorkGroupSize.x) {
            float sum = 0.0;
            for (uint piece = 0; piece < pieces; ++piece)
                sum += inner_sums.v[inner_at + min(piece, pieces - 1) * 2 * B + c];
            inner[c] = sum;
            next_row[c] = z_swapped.v[z_at + row0 * 2 * B + c];
        }
        barrier();
    }

    for (uint s = 0; s < PER_THREAD; ++s) {
        uint row = row0 + (group * PER_THREAD + s) * gl_WorkGroupSize.x + t;
        if (row >= order)
            continue;
        float sum = 0.0;
        for (uint piece = 0; piece < pieces; ++piece)
            sum += sums.v[sums_at + min(piece, pieces - 1) * size + row];
        float element = 0.0;
        if (has_next)
            element = a.v[item * size * size + row0 * size + row]; // symmetric
        for (uint q = 0; q < done; ++q) {
            uint at = z_at + row * 2 * B + min(q, B - 1);
            float vq = z.v[at];
            float wq = z.v[at + B];
            sum -= vq * inner[B + q] + wq * inner[q];
            element -= vq * next_row[q] + wq * next_row[B + q];
        }
        product.v[item * size + row] = sum;
        if (has_next)
            next.v[item * size + row] = element;
    }
}
