// SPDX-License-Identifier: MIT
// What a pair's noise adds to x W^T, all members of all layers in one dispatch (heron/evolution.hpp):
//
//   z = s scale x B_p,  rows x rank;   y = x W^T + z A_p^T
//
// One workgroup: some rows of a pair, whose members lie one above the other, and up to EVOLUTION_COLUMNS columns of y.
// It draws the numbers of B_p, then those of A_p, into shared memory, as many as there is room for at a time; neither
// they nor z come to memory. Where members see the same x, z is the pair's up to the sign, and x W^T that of all pairs.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define PHILOX_COMPACT
#include "evolution/evolution.h"

#define JOB EvolutionLinearJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "evolution/evolution_noise.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of x

const uint X_COLUMNS = 32u; // of x at a time where there are EVOLUTION_ROWS rows; more where there are fewer
const uint X_NUMBERS = EVOLUTION_ROWS * (X_COLUMNS + 1u);

shared float noise[EVOLUTION_DRAWN]; // row after row of the pair's numbers, each of rank | 1: different banks
shared float x_tile[X_NUMBERS];        // row after row, of x_columns + 1, for the same reason
shared float z[EVOLUTION_SUMS];        // at k block_rows + row; before, sums of parts of the columns

// Rows [first, first + count) of the pair's (cols + width) x rank numbers.
void draw_rows(uint first, uint count, uint rank, uint pair, uint epoch, EvolutionDraw draw) {
    uint begin = first * rank, end = (first + count) * rank, stride = rank | 1u;
    for (uint block = begin / 4u + gl_LocalInvocationID.x; 4u * block < end; block += gl_WorkGroupSize.x) {
        vec4 numbers = noise_numbers(block, pair, epoch, draw);
        for (uint q = 0u; q < 4u; ++q) {
            uint e = 4u * block + q;
            if (e >= begin && e < end)
                noise[(e / rank - first) * stride + e % rank] = numbers[q];
        }
    }
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 x = p.jobs.job[j].x;
    F32 base = p.jobs.job[j].base;
    F32 y = p.jobs.job[j].y;
    U32 epochs = p.jobs.job[j].epoch;
    EvolutionDraw draw = p.jobs.job[j].draw;
    uint width = p.jobs.job[j].width;
    uint cols = p.jobs.job[j].cols;
    uint rank = p.jobs.job[j].rank;
    uint rows = p.jobs.job[j].rows;
    uint steps = p.jobs.job[j].steps;
    bool both = (p.jobs.job[j].flags & EVOLUTION_SHARED) != 0u;
    float scale = p.jobs.job[j].scale;
    uint block_rows = p.jobs.job[j].block_rows;
    uint row_blocks = p.jobs.job[j].row_blocks;
    uint column_blocks = p.jobs.job[j].column_blocks;
    uint epoch = epochs.v[0];
    uint column_block = group % column_blocks;
    uint first_row = group / column_blocks % row_blocks * block_rows;
    uint pair = group / column_blocks / row_blocks;
    uint t = gl_LocalInvocationID.x, threads = gl_WorkGroupSize.x;

    uint stride = rank | 1u;
    uint chunk = (EVOLUTION_DRAWN / stride) & ~31u; // rows of numbers at a time
    uint x_columns = (X_NUMBERS / block_rows - 1u) & ~31u;
    uint x_stride = x_columns + 1u;
    uint x_row = both ? 0u : pair * rows; // of the pair's first row
    uint sums = block_rows * rank;
    uint slices = max(threads / sums, 1u); // of each four columns of x

    for (uint u = t; u < slices * sums; u += threads)
        z[u] = 0.0;
    for (uint first = 0u; first < cols; first += chunk) {
        uint count = min(chunk, cols - first);
        // Up to three rows more, which meet zeros of x: numbers are finite, what was there before need not be.
        draw_rows(first, (count + 3u) & ~3u, rank, pair, epoch, draw);
        for (uint column = 0u; column < count; column += x_columns) {
            uint valid = min(x_columns, count - column), padded = (valid + 3u) & ~3u;
            for (uint u = t; u < block_rows * padded; u += threads) {
                uint row = u / padded, k = u % padded;
                uint from = (x_row + min(first_row + row, rows - 1u)) * cols + first + column + min(k, valid - 1u);
                float value = load(x, from, DTYPE_A);
                x_tile[row * x_stride + k] = first_row + row < rows && k < valid ? value : 0.0;
            }
            barrier();
            for (uint u = t; u < slices * sums; u += threads) {
                uint sum = u % sums;
                uint from = sum % block_rows * x_stride;
                float total = 0.0;
                for (uint k = u / sums * 4u; k < valid; k += 4u * slices) {
                    uint at = (column + k) * stride + sum / block_rows;
                    total += dot(vec4(x_tile[from + k], x_tile[from + k + 1u], x_tile[from + k + 2u],
                                      x_tile[from + k + 3u]),
                                 vec4(noise[at], noise[at + stride], noise[at + 2u * stride],
                                      noise[at + 3u * stride]));
                }
                z[u] += total;
            }
            barrier();
        }
    }
    for (uint sum = t; sum < sums; sum += threads) {
        float total = 0.0;
        for (uint slice = 0u; slice < slices; ++slice)
            total += z[slice * sums + sum];
        bool odd = !both && first_row + sum % block_rows >= steps;
        z[sum] = total * (odd ? -scale : scale);
    }

    uint last = min(width, (column_block + 1u) * EVOLUTION_COLUMNS);
    for (uint first = column_block * EVOLUTION_COLUMNS; first < last; first += chunk) {
        uint count = min(chunk, last - first);
        draw_rows(cols + first, count, rank, pair, epoch, draw);
        barrier();
        for (uint u = t; u < count * (block_rows / 4u); u += threads) {
            uint column = u % count, four = u / count * 4u;
            vec4 change = vec4(0.0);
            for (uint k = 0u; k < rank; ++k) {
                uint at = k * block_rows + four;
                change += noise[column * stride + k] * vec4(z[at], z[at + 1u], z[at + 2u], z[at + 3u]);
            }
            for (uint q = 0u; q < 4u; ++q) {
                uint row = first_row + four + q;
                // A load behind a condition may be done early: of a row that is there.
                uint from = min(row, rows - 1u) * width + first + column;
                uint pair_at = 2u * pair * steps * width;
                float value = base.v[both ? from : pair_at + from];
                if (row >= rows)
                    break;
                y.v[pair_at + from] = value + change[q];
                if (both)
                    y.v[pair_at + from + steps * width] = value - change[q];
            }
        }
        barrier();
    }
}
