// SPDX-License-Identifier: MIT
// Sums the losses and the right predictions of a batch into the history, and moves the cursor to the next batch.
//
// One workgroup; the sums are a fixed tree, so that they have the same bits every time.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB FinishBatchJob
#include "core/kernel.glsl"

const uint THREADS = 64; // as kFinishThreads in layers.cpp
shared float losses[THREADS];
shared float right[THREADS];

void main() {
    if (nothing_to_do())
        return;
    F32 row_result = p.jobs.job[0].row_result;
    F32 history = p.jobs.job[0].history;
    Words cursor = p.jobs.job[0].cursor;
    uint lane = gl_LocalInvocationID.x;

    float loss_sum = 0.0;
    float right_sum = 0.0;
    for (uint row = lane; row < p.jobs.job[0].rows; row += THREADS) {
        loss_sum += row_result.v[2 * row];
        right_sum += row_result.v[2 * row + 1];
    }
    losses[lane] = loss_sum;
    right[lane] = right_sum;
    for (uint half_width = THREADS / 2; half_width > 0; half_width /= 2) {
        barrier();
        if (lane < half_width) {
            losses[lane] += losses[lane + half_width];
            right[lane] += right[lane + half_width];
        }
    }
    if (lane == 0) {
        uint slot = cursor.v[0] % p.jobs.job[0].capacity;
        history.v[2 * slot] = losses[0];
        history.v[2 * slot + 1] = right[0];
        cursor.v[0] = cursor.v[0] + 1;
    }
}
