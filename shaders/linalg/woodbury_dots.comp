// SPDX-License-Identifier: MIT
// Products of gradient windows with vectors: eight rows, over one chunk of their length of THREADS * PER_THREAD
// elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/woodbury.h"

#define JOB WoodburyDotsJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of the window
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32; // of the vector
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 128;

const uint W = WOODBURY_TILE; // 8
shared float scratch[W * gl_WorkGroupSize.x];

vec4 four(U32 u, uint row0, uint row1, uint row2, uint row3, uint at) {
    return vec4(load(u, row0 + at, DTYPE_A), load(u, row1 + at, DTYPE_A), load(u, row2 + at, DTYPE_A),
                load(u, row3 + at, DTYPE_A));
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 u = p.jobs.job[j].u;
    U32 v = p.jobs.job[j].v;
    F32 factors = p.jobs.job[j].factors;
    U32 exponents = p.jobs.job[j].exponents;
    U32 slot = p.jobs.job[j].slot;
    U32 info = p.jobs.job[j].info;
    F32 partials = p.jobs.job[j].partials;
    uint d = p.jobs.job[j].d;
    uint stride = p.jobs.job[j].stride;
    uint rows = p.jobs.job[j].rows;
    uint chunks = p.jobs.job[j].chunks;
    uint tiles = p.jobs.job[j].tiles;
    uint flags = p.jobs.job[j].flags;
    bool own_row = (flags & WOODBURY_OWN_ROW) != 0;
    bool normalized = (flags & WOODBURY_NORMALIZED) != 0;
    uint item = group / (tiles * chunks);
    uint rest = group - item * tiles * chunks;
    uint tile = rest / chunks;
    uint chunk = rest - tile * chunks;
    if ((flags & WOODBURY_IF_REFINED) != 0)
        if (info.v[item * WOODBURY_INFO_WORDS + WOODBURY_REFINED] == 0)
            return;
    uint base = item * p.jobs.job[j].item;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    uint row[W];
    float factor[W];
    [[unroll]] for (uint r = 0; r < W; ++r) {
        uint i = min(tile * W + r, rows - 1);
        row[r] = base + i * stride;
        if (own_row)
            factor[r] = normalized ? 1.0 : power_of_two(-int(exponents.v[item * rows + i]));
        else
            factor[r] = factors.v[item * rows + i];
    }
    uint from = item * p.jobs.job[j].v_item;
    float v_factor = 1.0;
    if (own_row) {
        uint newest = woodbury_newest(slot.v[0], rows);
        from = base + newest * stride;
        v_factor = normalized ? 1.0 : power_of_two(-int(exponents.v[item * rows + newest]));
    }
    vec4 acc0 = vec4(0.0), acc1 = vec4(0.0);
    uint begin = chunk * threads * PER_THREAD;
    uint end = min(begin + threads * PER_THREAD, d);
    for (uint i = begin + t; i < end; i += threads) {
        uint at = min(i, d - 1);
        float value = load(v, from + at, DTYPE_B) * v_factor;
        // Vectors: of an unrolled loop spirv-opt keeps `precise` for the first round alone.
        precise vec4 x0 = four(u, row[0], row[1], row[2], row[3], at) * vec4(factor[0], factor[1], factor[2], factor[3]);
        precise vec4 x1 = four(u, row[4], row[5], row[6], row[7], at) * vec4(factor[4], factor[5], factor[6], factor[7]);
        acc0 += x0 * value;
        acc1 += x1 * value;
    }
    [[unroll]] for (uint r = 0; r < W; ++r)
        scratch[r * threads + t] = r < 4u ? acc0[r] : acc1[r - 4u];
    barrier();
    for (uint r = t; r < W; r += threads)
        if (tile * W + r < rows) {
            float sum = 0.0;
            for (uint i = 0; i < threads; ++i)
                sum += scratch[r * threads + i];
            partials.v[(item * chunks + chunk) * rows + tile * W + r] = sum;
        }
}
