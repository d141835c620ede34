// SPDX-License-Identifier: MIT
// Adafactor's factors, all matrices in one dispatch, from the tiles' sums:
//
//   r <- r + t^decay (mean + eps - r), c the same;  and mean(r), in row_chunks parts an item
//
// One invocation a row, `chunk_rows` of them an item (several chunks where it has more rows); in the workgroups behind
// those one invocation a column. A workgroup repeats this for as many workgroups as the job says.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/adafactor.h"

#define JOB AdafactorLinesJob
#include "core/kernel.glsl"

shared float scratch[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint lane = gl_LocalInvocationID.x;
    uint items = p.jobs.job[j].tiles.items;
    uint rows = p.jobs.job[j].tiles.rows;
    uint cols = p.jobs.job[j].tiles.cols;
    float eps = p.jobs.job[j].eps;
    AdafactorHyperRef hyper = p.jobs.job[j].hyper;
    float rate = hyper.h.rate2;
    uint row_groups = p.jobs.job[j].row_groups;

    uint repeats = p.jobs.job[j].repeats;

    if (group >= row_groups) {
        uint tiles = p.jobs.job[j].tiles.row_tiles;
        F32 sums = p.jobs.job[j].col_sums;
        F32 col = p.jobs.job[j].col;
        for (uint q = 0u; q < repeats; ++q) {
            uint line = ((group - row_groups) * repeats + q) * gl_WorkGroupSize.x + lane;
            if (line >= items * cols)
                break;
            line = min(line, items * cols - 1u); // a driver may load what is not asked for
            uint first = line / cols * tiles * cols + line % cols;
            float sum = 0.0;
            for (uint k = 0u; k < tiles; ++k)
                sum += sums.v[first + k * cols];
            col.v[line] = col.v[line] + rate * (sum + eps - col.v[line]);
        }
        return;
    }

    uint chunk_rows = p.jobs.job[j].chunk_rows;
    uint chunks = p.jobs.job[j].tiles.row_chunks;
    uint tiles = p.jobs.job[j].tiles.col_tiles;
    float mean_weight = p.jobs.job[j].mean_weight;
    F32 sums = p.jobs.job[j].row_sums;
    F32 row = p.jobs.job[j].row;
    F32 means = p.jobs.job[j].means;
    uint in_chunk = lane & (chunk_rows - 1u);
    for (uint q = 0u; q < repeats; ++q) {
        uint block = group * repeats + q;
        uint chunk = block % chunks;
        uint item = block / chunks * (gl_WorkGroupSize.x / chunk_rows) + lane / chunk_rows;
        uint in_item = chunk * chunk_rows + in_chunk;
        float share = 0.0;
        if (item < items && in_item < rows) {
            uint line = min(item * rows + in_item, items * rows - 1u);
            float sum = 0.0;
            for (uint k = 0u; k < tiles; ++k)
                sum += sums.v[line * tiles + k];
            float r = row.v[line] + rate * (sum + eps - row.v[line]);
            row.v[line] = r;
            share = r * mean_weight;
        }
        scratch[lane] = share;
        barrier();
        for (uint half_size = chunk_rows / 2u; half_size > 0u; half_size /= 2u) {
            if (in_chunk < half_size)
                scratch[lane] += scratch[lane + half_size];
            barrier();
        }
        if (in_chunk == 0u && item < items)
            means.v[item * chunks + chunk] = scratch[lane];
    }
}
