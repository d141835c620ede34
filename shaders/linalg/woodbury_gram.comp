// SPDX-License-Identifier: MIT
// Gram matrices of gradient windows: the products of 8 x 8 pairs of rows, over one chunk of their length. An invocation
// adds at most 1024 products (while d is below some millions), then their sums are added: errors do not grow with the
// length.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/woodbury.h"

#define JOB WoodburyGramJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

const uint W = WOODBURY_TILE;
shared float scratch[2 * W * gl_WorkGroupSize.x];

// Sums over all invocations, which all have to come here.
void add_up(float row0[W], float row1[W], F32 partials, uint to) {
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    [[unroll]] for (uint k = 0; k < W; ++k) {
        scratch[k * threads + t] = row0[k];
        scratch[(W + k) * threads + t] = row1[k];
    }
    barrier();
    for (uint k = t; k < 2 * W; k += threads) {
        float sum = 0.0;
        for (uint i = 0; i < threads; ++i)
            sum += scratch[k * threads + i];
        partials.v[to + k] = sum;
    }
    barrier();
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 u = p.jobs.job[j].u;
    U32 exponents = p.jobs.job[j].exponents;
    F32 partials = p.jobs.job[j].partials;
    uint d = p.jobs.job[j].d;
    uint stride = p.jobs.job[j].stride;
    uint rows = p.jobs.job[j].rows;
    uint tiles = p.jobs.job[j].tiles;
    uint chunks = p.jobs.job[j].chunks;
    uint length = p.jobs.job[j].chunk_length;
    bool normalized = (p.jobs.job[j].flags & WOODBURY_NORMALIZED) != 0;
    uint item = group / (tiles * chunks);
    uint rest = group - item * tiles * chunks;
    uint tile = rest / chunks;
    uint chunk = rest - tile * chunks;
    uvec2 ij = woodbury_tile(tile, (rows + W - 1) / W);
    uint base = item * p.jobs.job[j].item;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    // Rows beyond the last one repeat it and are not used.
    float factor_a[W], factor_b[W];
    [[unroll]] for (uint r = 0; r < W; ++r) {
        uint a = min(ij.x * W + r, rows - 1), b = min(ij.y * W + r, rows - 1);
        factor_a[r] = normalized ? 1.0 : power_of_two(-int(exponents.v[item * rows + a]));
        factor_b[r] = normalized ? 1.0 : power_of_two(-int(exponents.v[item * rows + b]));
    }
    float acc[W][W];
    [[unroll]] for (uint r = 0; r < W; ++r)
        [[unroll]] for (uint c = 0; c < W; ++c)
            acc[r][c] = 0.0;
    uint begin = chunk * length;
    uint end = min(begin + length, d);
    for (uint i = begin + t; i < end; i += threads) {
        uint at = min(i, d - 1);
        float x[W];
        [[unroll]] for (uint r = 0; r < W; ++r)
            x[r] = load(u, base + min(ij.x * W + r, rows - 1) * stride + at, DTYPE_A) * factor_a[r];
        [[unroll]] for (uint c = 0; c < W; ++c) {
            float y = load(u, base + min(ij.y * W + c, rows - 1) * stride + at, DTYPE_A) * factor_b[c];
            [[unroll]] for (uint r = 0; r < W; ++r)
                acc[r][c] += x[r] * y;
        }
    }
    uint to = ((item * tiles + tile) * chunks + chunk) * W * W;
    // Two rows of sums at a time. Calls, since compilers do not unroll what has loops and barriers in it, and would
    // index `acc`.
    add_up(acc[0], acc[1], partials, to);
    add_up(acc[2], acc[3], partials, to + 2 * W);
    add_up(acc[4], acc[5], partials, to + 4 * W);
    add_up(acc[6], acc[7], partials, to + 6 * W);
}
