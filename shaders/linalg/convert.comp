// SPDX-License-Identifier: MIT
// to = scale * from, between f32, f16 and bf16, rounding to nearest even; many tensors in one dispatch.
//
// An invocation takes PER_THREAD pairs of neighbouring elements, THREADS pairs apart, so that it owns whole words of
// 16-bit data. Rows of an odd number of elements end in a pair that is half empty.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/convert.h"
#define JOB ConvertJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of `from`
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32; // of `to`
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 from = p.jobs.job[j].from;
    U32 to = p.jobs.job[j].to;
    uint cols = p.jobs.job[j].cols;
    uint from_rows = p.jobs.job[j].from_rows;
    uint from_stride = p.jobs.job[j].from_stride;
    uint to_stride = p.jobs.job[j].to_stride;
    uint flags = p.jobs.job[j].flags;
    float scale = p.jobs.job[j].scale;
    bool scaled = (flags & CONVERT_SCALE) != 0;
    bool zero = (flags & CONVERT_ZERO) != 0;
    bool pairs = (flags & CONVERT_PAIRS) != 0;
    uint row_pairs = cols / 2 + (cols & 1u);
    uint all_pairs = p.jobs.job[j].rows * row_pairs;

    uint first = group * gl_WorkGroupSize.x * PER_THREAD + gl_LocalInvocationID.x;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint pair = first + r * gl_WorkGroupSize.x;
        if (pair < all_pairs) {
            uint row = pair / row_pairs;
            uint col = (pair - row * row_pairs) * 2;
            bool both = col + 1 < cols;
            vec2 value = vec2(0.0);
            if (!zero) {
                uint at = row % from_rows * from_stride + col;
                value.x = load(from, at, DTYPE_A);
                value.y = load(from, both ? at + 1 : at, DTYPE_A);
                if (scaled)
                    value *= scale;
            }
            uint at = row * to_stride + col;
            if (both && pairs) {
                store_pair(to, at, value, DTYPE_D);
            } else {
                store(to, at, value.x, DTYPE_D);
                if (both)
                    store(to, at + 1, value.y, DTYPE_D);
            }
        }
    }
}
