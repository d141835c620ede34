// SPDX-License-Identifier: MIT
// What the codes of a quantised matrix stand for (heron/linalg/quantize.hpp), many matrices in one dispatch. One
// invocation takes `rounds` words, whole workgroups apart.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/quantize.h"

#define JOB DequantizeJob
#include "core/kernel.glsl"
#include "linalg/quantize.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 codes = p.jobs.job[j].codes;
    F32 absmax = p.jobs.job[j].absmax;
    F32 diagonal = p.jobs.job[j].diagonal;
    F32 to = p.jobs.job[j].to;
    uint bits = p.jobs.job[j].code.bits;
    uint block = p.jobs.job[j].code.block;
    uint blocks = p.jobs.job[j].code.blocks;
    uint words = p.jobs.job[j].code.words;
    float step_high = p.jobs.job[j].code.step_high;
    float step_low = p.jobs.job[j].code.step_low;
    uint cols = p.jobs.job[j].cols;
    uint row_stride = p.jobs.job[j].row_stride;
    uint rounds = p.jobs.job[j].rounds;
    bool keeps = (p.jobs.job[j].flags & QUANTIZE_DIAGONAL) != 0u;
    uint all_words = p.jobs.job[j].rows * words;
    uint per_word = 32u / bits;
    uint mask = (1u << bits) - 1u;
    uint first = (group - p.jobs.job[j].first_group) * rounds * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    for (uint r = 0u; r < rounds; ++r) {
        uint w = first + r * gl_WorkGroupSize.x;
        if (w >= all_words)
            break;
        uint row = w / words;
        uint begin = (w - row * words) * per_word;
        uint end = min(begin + per_word, cols);
        uint word = codes.v[w];
        float scale = absmax.v[row * blocks + begin / block];
        for (uint c = begin; c < end; ++c) {
            float level = level_of((word >> ((c - begin) * bits)) & mask, bits, step_high, step_low);
            to.v[row * row_stride + c] = level * scale;
        }
        if (keeps && begin <= row && row < end)
            to.v[row * row_stride + row] = diagonal.v[keeps ? row : 0u];
    }
}
