// SPDX-License-Identifier: MIT
// First step of eigh and svd: the input as f32, symmetrised, copied or transposed, divided by a power of two near its
// Frobenius norm, padded with zeros (JacobiPrepareJob).
//
// A chunk of 1024 elements a workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/jacobi.h"
#include "linalg/status.h"
#define JOB JacobiPrepareJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/scale_by.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_PREPARE) const uint PREPARE = PREPARE_COPY;

const uint CHUNK = 1024;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 x = p.jobs.job[j].x;
    F32 y = p.jobs.job[j].y;
    F32 norms = p.jobs.job[j].norm;
    U32 exponents = p.jobs.job[j].exponent;
    U32 nonfinite = p.jobs.job[j].nonfinite;
    U32 state = p.jobs.job[j].state;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint x_stride = p.jobs.job[j].x_stride;
    uint y_cols = p.jobs.job[j].y_cols;
    uint count = p.jobs.job[j].y_rows * y_cols;
    uint chunks = p.jobs.job[j].chunks;
    uint item = group / chunks;
    uint chunk = group - item * chunks;

    int exponent = 0;
    bool usable = true;
    if (PREPARE == PREPARE_BASIS) {
        float distance = norms.v[item];
        usable = !is_nonfinite(distance) && distance <= BASIS_TOLERANCE &&
                 state.v[item * JACOBI_STATE_WORDS + JACOBI_STATUS] == STATUS_OK;
    } else if (PREPARE == PREPARE_DOUBTFUL) {
        if (chunk == 0u && gl_LocalInvocationID.x == 0u)
            state.v[item * JACOBI_STATE_WORDS + JACOBI_FROZEN] = nonfinite.v[item] == 0u ? 1u : 0u;
    } else if (PREPARE != PREPARE_IDENTITY && PREPARE != PREPARE_PAD) {
        usable = nonfinite.v[item] == 0u;
        exponent = int(exponents.v[item]);
        if (chunk == 0u && gl_LocalInvocationID.x == 0u) {
            state.v[item * JACOBI_STATE_WORDS + JACOBI_FROZEN] = 0u;
            state.v[item * JACOBI_STATE_WORDS + JACOBI_STATUS] = usable ? STATUS_OK : STATUS_NONFINITE;
            state.v[item * JACOBI_STATE_WORDS + JACOBI_SCALE] = uint(exponent);
            state.v[item * JACOBI_STATE_WORDS + 3u] = 0u;
        }
    }

    uint x_at = item * p.jobs.job[j].x_item;
    uint y_at = item * count;
    uint begin = chunk * CHUNK;
    uint length = min(count - begin, CHUNK);
    for (uint k = gl_LocalInvocationID.x; k < length; k += gl_WorkGroupSize.x) {
        uint i = begin + k;
        uint row = i / y_cols;
        uint col = i - row * y_cols;
        float value = 0.0;
        if (PREPARE == PREPARE_IDENTITY || (PREPARE == PREPARE_BASIS && (!usable || row >= rows || col >= cols))) {
            value = row == col ? 1.0 : 0.0;
        } else if (usable) {
            uint from_row = PREPARE == PREPARE_TRANSPOSE ? col : row;
            uint from_col = PREPARE == PREPARE_TRANSPOSE ? row : col;
            if (from_row < rows && from_col < cols) {
                value = scale_by(load(x, x_at + from_row * x_stride + from_col, DTYPE_A), -exponent);
                if (PREPARE == PREPARE_SYMMETRIC)
                    value = 0.5 * (value + scale_by(load(x, x_at + from_col * x_stride + from_row, DTYPE_A), -exponent));
            }
        }
        y.v[y_at + i] = value;
    }
}
