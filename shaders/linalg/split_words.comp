// SPDX-License-Identifier: MIT
// Two 16-bit words for each f32 element: high = x rounded, low = SPLIT_WORDS_SCALE (x - high) rounded. Products of them
// have about twice the digits that one word has.
//
// One invocation handles two neighbours of a row. Words have an even row stride: they are written in pairs.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "core/shared.h"
#include "linalg/split_words.h"

#define JOB SplitWordsJob
#include "core/kernel.glsl"
#include "core/half.glsl"

layout(constant_id = SPEC_DTYPE_D) const uint DTYPE = 1;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint pair = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (pair >= p.jobs.job[j].pairs)
        return;
    F32 x = p.jobs.job[j].x;
    U32 high = p.jobs.job[j].high;
    U32 low = p.jobs.job[j].low;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint pairs_per_row = (cols + 1) / 2;
    uint all_rows = pair / pairs_per_row; // row number over all items
    uint item = all_rows / rows;
    uint row = all_rows - item * rows;
    uint col = 2 * (pair - all_rows * pairs_per_row);
    uint from = item * p.jobs.job[j].x_item + row * p.jobs.job[j].x_stride + col;
    uint to = item * p.jobs.job[j].word_item + row * p.jobs.job[j].word_stride + col;
    // Of an odd row the last word's neighbour lies in the gap before the next row.
    vec2 value = vec2(x.v[from], x.v[from + (col + 1 < cols ? 1 : 0)]);
    uint bits = to_word(value, DTYPE);
    high.v[to / 2] = bits;
    low.v[to / 2] = to_word(float(SPLIT_WORDS_SCALE) * (value - from_word(bits, DTYPE)), DTYPE);
}
