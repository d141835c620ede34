// SPDX-License-Identifier: MIT
// Block-wise quantisation of rows (heron/linalg/quantize.hpp), many matrices in one dispatch:
//
//   absmax = max |x| of a block;   code = nearest level to x (1 / absmax)
//
// One invocation a block, neighbours in neighbouring rows: columns of a matrix, or a symmetric one, whose rows are
// columns, are read side by side. It reads its block twice rather than keep it.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/quantize.h"
#include "linalg/status.h"

#define JOB QuantizeJob
#include "core/kernel.glsl"
#include "linalg/quantize.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint flags = p.jobs.job[j].flags;
    uint first = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if ((flags & QUANTIZE_STATUS) != 0u) {
        U32 status = p.jobs.job[j].status;
        if (!is_usable(status.v[0])) {
            if (first == 0u && (flags & QUANTIZE_FAILURES) != 0u) {
                U32 failures = p.jobs.job[j].failures;
                uint count = failures.v[0];
                failures.v[0] = count + uint(count != 0xffffffffu);
            }
            return;
        }
    }
    uint rows = p.jobs.job[j].rows;
    uint row = first % rows;
    uint block_index = first / rows;
    if (block_index >= p.jobs.job[j].code.blocks)
        return;

    F32 from = p.jobs.job[j].from;
    U32 codes = p.jobs.job[j].codes;
    uint bits = p.jobs.job[j].code.bits;
    uint block = p.jobs.job[j].code.block;
    uint words = p.jobs.job[j].code.words;
    uint col_stride = p.jobs.job[j].col_stride;
    uint at = row * p.jobs.job[j].row_stride;
    float identity = p.jobs.job[j].identity;
    bool is_identity = (flags & QUANTIZE_IDENTITY) != 0u;
    uint begin = block_index * block;
    uint end = min(begin + block, p.jobs.job[j].cols);
    uint last = end - 1u; // no load goes beyond it, also where a driver runs a loop once too often
    if (bits == 32u) {
        for (uint c = begin; c < end; ++c) {
            float x = is_identity ? (c == row ? identity : 0.0) : from.v[at + min(c, last) * col_stride];
            codes.v[row * words + c] = floatBitsToUint(x);
        }
        return;
    }

    bool keeps = (flags & QUANTIZE_DIAGONAL) != 0u;
    if (keeps && begin <= row && row < end) {
        F32 diagonal = p.jobs.job[j].diagonal;
        diagonal.v[row] = is_identity ? identity : from.v[at + row * col_stride];
    }
    uint skipped = keeps ? row : 0xffffffffu; // the column that counts as zero
    uint largest = 0u;
    for (uint c = begin; c < end; ++c) {
        float x = is_identity ? (c == row ? identity : 0.0) : from.v[at + min(c, last) * col_stride];
        largest = max(largest, c == skipped ? 0u : floatBitsToUint(x) & 0x7fffffffu);
    }
    if (largest < 0x00800000u)
        largest = 0u;
    if (largest >= 0x7f800000u)
        largest = 0x7fc00000u;
    F32 absmax = p.jobs.job[j].absmax;
    float scale = uintBitsToFloat(largest);
    absmax.v[row * p.jobs.job[j].code.blocks + block_index] = scale;

    // x and absmax times the same power of two, so that the reciprocal is a normal number.
    float unit = scale >= 1.0 ? 0.25 : 4.0;
    bool is_number = largest > 0u && largest < 0x7f800000u;
    float inverse = is_number ? exact_reciprocal(scale * unit) : 0.0;
    float step_high = p.jobs.job[j].code.step_high;
    float step_low = p.jobs.job[j].code.step_low;
    uint per_word = 32u / bits;
    for (uint c = begin; c < end; c += per_word) {
        uint word = 0u;
        uint stop = min(per_word, end - c);
        for (uint k = 0u; k < stop; ++k) {
            uint col = c + k;
            float x = is_identity ? (col == row ? identity : 0.0) : from.v[at + min(col, last) * col_stride];
            precise float scaled = x * unit;
            precise float ratio = scaled * inverse;
            bool zero = !is_number || col == skipped;
            word |= code_of(zero ? 0.0 : ratio, bits, step_high, step_low) << (k * bits);
        }
        codes.v[row * words + c / per_word] = word;
    }
}
