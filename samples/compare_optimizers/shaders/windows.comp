// SPDX-License-Identifier: MIT
// Takes the windows of the next batch out of the text: the one-hot rows of their characters, which make the embedding a
// matrix product, and the characters that follow.
//
// Windows begin at random places that depend on (seed, batch, window) alone, so that a replayed command buffer takes the
// next batch by itself. In an evaluation they follow each other; rows behind the last whole window have no label.
//
// One invocation a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "transformer.h"
#define JOB WindowsJob
#include "core/kernel.glsl"

uint mix_bits(uint x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint row = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint rows = p.jobs.job[j].rows;
    if (row >= rows)
        return;

    U32 cursor = p.jobs.job[j].cursor;
    U32 text = p.jobs.job[j].text;
    F32 one_hot = p.jobs.job[j].one_hot;
    U32 targets = p.jobs.job[j].targets;
    uint context = p.jobs.job[j].context;
    uint vocabulary = p.jobs.job[j].vocabulary;
    uint windows = p.jobs.job[j].characters - context; // places where a window and its last target fit

    uint window = cursor.v[0] * (rows / context) + row / context;
    bool in_order = p.jobs.job[j].in_order != 0;
    uint start = in_order ? window * context : mix_bits(p.jobs.job[j].seed + mix_bits(window + 1u)) % windows;
    bool valid = start < windows;
    uint at = (valid ? start : 0) + row % context;
    uint character = text.v[at];
    targets.v[row] = valid ? text.v[at + 1] : p.jobs.job[j].no_label;
    for (uint c = 0; c < vocabulary; ++c)
        one_hot.v[row * vocabulary + c] = c == character ? 1.0 : 0.0;
}
