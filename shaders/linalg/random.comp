// SPDX-License-Identifier: MIT
// Random matrices from Philox 4x32-10, many tensors in one dispatch; or a counter's next value.
//
// A block of four elements, neighbours in the order of rows without their gaps, comes from one call of the generator
// with counter (first_block + block, step, tensor, stream). A workgroup fills THREADS * PER_THREAD blocks.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/random.h"
#define JOB RandomJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/philox.glsl"

layout(constant_id = SPEC_DISTRIBUTION) const uint DISTRIBUTION = RANDOM_NORMAL;
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

// No more bits than the dtype holds, or rounding would give 1.
float uniform_number(uint word) {
    if (DTYPE_D == DTYPE_F16)
        return float(word >> 21) * 4.8828125e-4;
    if (DTYPE_D == DTYPE_BF16)
        return float(word >> 24) * 3.90625e-3;
    return float(word >> 8) * 5.9604645e-8;
}

vec4 numbers(uvec4 words) {
    if (DISTRIBUTION == RANDOM_UNIFORM)
        return vec4(uniform_number(words.x), uniform_number(words.y), uniform_number(words.z), uniform_number(words.w));
    if (DISTRIBUTION == RANDOM_NORMAL)
        return vec4(normal_pair(words.x, words.y), normal_pair(words.z, words.w));
    if (DISTRIBUTION == RANDOM_EXPONENTIAL)
        return vec4(minus_log(positive_uniform(words.x)), minus_log(positive_uniform(words.y)),
                    minus_log(positive_uniform(words.z)), minus_log(positive_uniform(words.w)));
    return vec4(1.0) - 2.0 * vec4(words >> 31);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 to = p.jobs.job[j].to;
    if (DISTRIBUTION == RANDOM_ADVANCE) {
        if (gl_LocalInvocationID.x == 0u)
            to.v[0] = to.v[0] + 1u;
        return;
    }
    U32 counter = p.jobs.job[j].counter;
    uvec2 key = uvec2(p.jobs.job[j].seed, p.jobs.job[j].seed_high);
    uint step = p.jobs.job[j].step;
    uint tensor = p.jobs.job[j].tensor;
    uint stream = p.jobs.job[j].stream;
    uint first_block = p.jobs.job[j].first_block;
    uint blocks = p.jobs.job[j].blocks;
    uint count = p.jobs.job[j].count;
    uint cols = p.jobs.job[j].cols;
    uint stride = p.jobs.job[j].stride;
    float scale = p.jobs.job[j].scale;
    uint flags = p.jobs.job[j].flags;
    bool pairs = (flags & RANDOM_PAIRS) != 0u;
    if ((flags & RANDOM_CONTROL) != 0u) {
        step += p.control.c.step;
        key.x += p.control.c.seed;
    }
    if ((flags & RANDOM_COUNTER) != 0u)
        step += counter.v[0];

    uint first = group * (gl_WorkGroupSize.x * PER_THREAD) + gl_LocalInvocationID.x;
    for (uint k = 0; k < PER_THREAD; ++k) {
        uint block = first + k * gl_WorkGroupSize.x;
        if (block >= blocks)
            break;
        uvec4 words = philox(uvec4(first_block + block, step, tensor, stream), key);
        uint e = 4u * block;
        if (DISTRIBUTION != RANDOM_BITS) {
            vec4 x = scale * numbers(words);
            words = uvec4(to_bits(x.x, DTYPE_D), to_bits(x.y, DTYPE_D), to_bits(x.z, DTYPE_D), to_bits(x.w, DTYPE_D));
        }
        if (pairs && count - e >= 4u) {
            store_bits_pair(to, e, words.x, words.y, DTYPE_D);
            store_bits_pair(to, e + 2u, words.z, words.w, DTYPE_D);
        } else {
            uint here = min(4u, count - e);
            for (uint q = 0; q < here; ++q)
                store_bits(to, (e + q) / cols * stride + (e + q) % cols, words[q], DTYPE_D);
        }
    }
}
