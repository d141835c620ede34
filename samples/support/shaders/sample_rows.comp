// SPDX-License-Identifier: MIT
// Chooses the images of the next batch: a permutation of the data set that is new in every epoch.
//
//   position = (cursor mod batches) * batch + row;   row_index = P_epoch(position)
//
// P is a Feistel network on 2 half_bits bits, applied again while the result is not below `count`: the result is a
// bijection of [0, count) which needs no memory and no sorting, and depends on (seed, epoch, position) alone. So a
// replayed command buffer takes the next batch by itself, and a resumed training the one that it would have taken.
//
// One invocation a row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB SampleRowsJob
#include "core/kernel.glsl"

uint mix_bits(uint x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

uint permute(uint position, uint count, uint half_bits, uint key) {
    const uint mask = (1u << half_bits) - 1u;
    uint x = position;
    do {
        uint left = x >> half_bits;
        uint right = x & mask;
        for (uint round = 0; round < 6; ++round) {
            uint next = left ^ (mix_bits(right + key + round * 0x9e3779b9u) & mask);
            left = right;
            right = next;
        }
        x = (left << half_bits) | right;
    } while (x >= count);
    return x;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint row = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (row >= p.jobs.job[j].batch)
        return;

    Words cursor = p.jobs.job[j].cursor;
    Words labels = p.jobs.job[j].labels;
    Words row_index = p.jobs.job[j].row_index;
    Words row_label = p.jobs.job[j].row_label;
    uint count = p.jobs.job[j].count;
    uint batches = p.jobs.job[j].batches;

    uint epoch = cursor.v[0] / batches;
    uint position = (cursor.v[0] - epoch * batches) * p.jobs.job[j].batch + row;
    if (position >= count) { // only when evaluating: the last batch may be partly empty
        row_index.v[row] = 0;
        row_label.v[row] = NO_LABEL;
        return;
    }
    uint image = position;
    if (p.jobs.job[j].shuffle != 0)
        image = permute(position, count, p.jobs.job[j].half_bits, mix_bits(p.jobs.job[j].seed + mix_bits(epoch + 1u)));
    row_index.v[row] = image;
    row_label.v[row] = labels.v[image];
}
