// SPDX-License-Identifier: MIT
// The rotations that update, downdate or change a row of Cholesky factors, without changing them: one workgroup a
// matrix.
//
// For k = 0 .. n - 1, for each vector v with its sign s:
//
//   r = sqrt(l_kk^2 + s v_k^2), c = r / l_kk, q = v_k / l_kk
//   l_ik <- (l_ik + s q v_i) / c, v_i <- c v_i - q l_ik     for i > k; only v is kept here
//
// Blocks of 8 columns: one invocation does the block on the diagonal, then every invocation its rows below it. Row i
// belongs to invocation i mod THREADS, so that nobody reads in memory what another one has written. To replace row k,
// first L_11 x = a above it, by the same blocks; then the old column below it is added, and the new one subtracted.
//
// The loops over a block's columns are unrolled, the innermost ones: 4096 rows are then 34,000 rounds of loops for 64
// invocations, and lavapipe ends loops after 65,535.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/update.h"
#include "linalg/status.h"
#define JOB CholeskyUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of the vector

const uint BLOCK = 8;

shared float block_l[BLOCK * BLOCK];
shared float block_v[2 * BLOCK];
shared vec3 rotation[2 * BLOCK]; // c, 1 / c, s q
shared float pivot;
shared uint failure;

float word(U32 x, uint i) { return uintBitsToFloat(x.v[i]); }
void put(U32 x, uint i, float value) { x.v[i] = floatBitsToUint(value); }

// The first row from `from` on that belongs to this invocation.
uint own_row(uint from) {
    const uint T = gl_WorkGroupSize.x;
    return from + (gl_LocalInvocationID.x + T - from % T) % T;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    U32 l = p.jobs.job[j].l;
    U32 vector = p.jobs.job[j].vector;
    U32 row_index = p.jobs.job[j].row;
    U32 scratch = p.jobs.job[j].scratch;
    U32 apply = p.jobs.job[j].apply;
    uint n = p.jobs.job[j].n;
    uint l_row = p.jobs.job[j].l_row;
    uint flags = p.jobs.job[j].flags;
    uint l_begin = item * p.jobs.job[j].l_item;
    uint v_begin = item * p.jobs.job[j].vector_item;
    uint s_begin = item * CHOLESKY_SCRATCH * n;
    bool replace = (flags & UPDATE_REPLACE) != 0u;
    uint vectors = replace ? 2u : 1u;
    uint row = replace ? row_index.v[item * p.jobs.job[j].row_item] : 0u;
    uint lane = gl_LocalInvocationID.x;
    const uint T = gl_WorkGroupSize.x;

    uint status = STATUS_OK;
    bool changes = !replace || row < n;
    uint work = s_begin + CHOLESKY_WORK * n;
    if (lane == 0u)
        failure = STATUS_OK;

    if (!replace) {
        for (uint i = lane; i < n; i += T) {
            float v = load(vector, v_begin + i, DTYPE_A);
            put(scratch, s_begin + CHOLESKY_VECTOR * n + i, v);
            put(scratch, work + i, v);
        }
    } else if (changes) {
        for (uint i = lane; i < n; i += T)
            put(scratch, work + n + i, load(vector, v_begin + i, DTYPE_A));
        float squares = 0.0;
        for (uint k0 = 0; k0 < row; k0 += BLOCK) {
            uint width = min(BLOCK, row - k0);
            barrier();
            for (uint t = lane; t < BLOCK * BLOCK; t += T) {
                uint r = k0 + t / BLOCK;
                uint c = k0 + t % BLOCK;
                block_l[t] = r < row && c <= r ? word(l, l_begin + r * l_row + c) : 0.0;
            }
            for (uint i = own_row(k0); i < k0 + width; i += T)
                block_v[i - k0] = word(scratch, work + n + i);
            barrier();
            if (lane == 0u) {
                for (uint c = 0; c < width; ++c) {
                    if (block_l[c * BLOCK + c] <= 0.0)
                        failure = STATUS_SINGULAR;
                    float x = block_v[c] / block_l[c * BLOCK + c];
                    block_v[c] = x;
                    put(scratch, s_begin + CHOLESKY_ROW * n + k0 + c, x);
                    squares += x * x;
                    [[unroll]] for (uint r = 1; r < BLOCK; ++r)
                        if (r > c && r < width)
                            block_v[r] -= block_l[r * BLOCK + c] * x;
                }
            }
            barrier();
            for (uint i = own_row(k0 + width); i < n; i += T) {
                float sum = 0.0;
                [[unroll]] for (uint c = 0; c < BLOCK; ++c) {
                    float below = word(l, l_begin + i * l_row + min(k0 + c, row));
                    if (c < width)
                        sum += below * block_v[c];
                }
                put(scratch, work + n + i, word(scratch, work + n + i) - sum);
            }
        }
        if (lane == 0u) {
            float square = load(vector, v_begin + row, DTYPE_A) - squares;
            if (failure == STATUS_OK && is_nonfinite(square))
                failure = STATUS_NONFINITE;
            else if (failure == STATUS_OK && square <= 0.0)
                failure = STATUS_INDEFINITE;
            pivot = sqrt(square);
            put(scratch, s_begin + CHOLESKY_ROW * n + row, pivot);
        }
        barrier();
        status = failure;
        changes = status == STATUS_OK;
        for (uint i = own_row(row + 1u); i < n; i += T) {
            float old = word(l, l_begin + i * l_row + row);
            float inserted = word(scratch, work + n + i) / pivot;
            put(scratch, s_begin + CHOLESKY_VECTOR * n + i, old);
            put(scratch, work + i, old);
            put(scratch, s_begin + (CHOLESKY_VECTOR + 1u) * n + i, inserted);
            put(scratch, work + n + i, inserted);
        }
    }

    // `changes` is the same for all invocations.
    for (uint k0 = replace ? row + 1u : 0u; k0 < n && changes; k0 += BLOCK) {
        uint width = min(BLOCK, n - k0);
        barrier();
        for (uint t = lane; t < BLOCK * BLOCK; t += T) {
            uint r = k0 + t / BLOCK;
            uint c = k0 + t % BLOCK;
            block_l[t] = r < n && c <= r ? word(l, l_begin + r * l_row + c) : 0.0;
        }
        for (uint i = own_row(k0); i < k0 + width; i += T) {
            block_v[i - k0] = word(scratch, work + i);
            if (replace)
                block_v[BLOCK + i - k0] = word(scratch, work + n + i);
        }
        barrier();
        if (lane == 0u) {
            for (uint c = 0; c < width; ++c) {
                for (uint w = 0; w < vectors; ++w) {
                    bool adds = replace ? w == 0u : (flags & UPDATE_DOWNDATE) == 0u;
                    float d = block_l[c * BLOCK + c];
                    float v = block_v[w * BLOCK + c];
                    float square = adds ? d * d + v * v : (d - v) * (d + v);
                    uint found = STATUS_OK;
                    if (is_nonfinite(square) || is_nonfinite(v) || is_nonfinite(d))
                        found = STATUS_NONFINITE;
                    else if (d <= 0.0)
                        found = STATUS_SINGULAR;
                    else if (square <= 0.0)
                        found = STATUS_INDEFINITE;
                    if (failure == STATUS_OK)
                        failure = found;
                    float r = sqrt(square);
                    vec3 turn = vec3(r / d, d / r, v / d);
                    uint at = s_begin + w * n + k0 + c;
                    put(scratch, at + CHOLESKY_COSINE * n, turn.x);
                    put(scratch, at + CHOLESKY_INVERSE * n, turn.y);
                    put(scratch, at + CHOLESKY_SINE * n, turn.z);
                    rotation[w * BLOCK + c] = turn;
                    block_l[c * BLOCK + c] = r;
                    [[unroll]] for (uint i = 1; i < BLOCK; ++i)
                        if (i > c && i < width) {
                            float x = block_v[w * BLOCK + i];
                            float below = (block_l[i * BLOCK + c] + (adds ? turn.z : -turn.z) * x) * turn.y;
                            block_l[i * BLOCK + c] = below;
                            block_v[w * BLOCK + i] = turn.x * x - turn.z * below;
                        }
                }
                put(scratch, s_begin + CHOLESKY_DIAGONAL * n + k0 + c, block_l[c * BLOCK + c]);
            }
        }
        barrier();
        status = failure;
        changes = status == STATUS_OK;
        for (uint i = own_row(k0 + width); i < n && changes; i += T) {
            float v0 = word(scratch, work + i);
            float v1 = replace ? word(scratch, work + n + i) : 0.0;
            [[unroll]] for (uint c = 0; c < BLOCK; ++c) { // rows are left below full blocks only
                vec3 turn = rotation[c];
                bool adds = replace || (flags & UPDATE_DOWNDATE) == 0u;
                float below = (word(l, l_begin + i * l_row + k0 + c) + (adds ? turn.z : -turn.z) * v0) * turn.y;
                v0 = turn.x * v0 - turn.z * below;
                if (replace) {
                    turn = rotation[BLOCK + c];
                    below = (below - turn.z * v1) * turn.y;
                    v1 = turn.x * v1 - turn.z * below;
                }
            }
            put(scratch, work + i, v0);
            if (replace)
                put(scratch, work + n + i, v1);
        }
    }

    if (lane != 0u)
        return;
    apply.v[item] = changes ? 1u : 0u;
    if ((flags & UPDATE_STATUS) != 0u) {
        U32 statuses = p.jobs.job[j].status;
        statuses.v[item] = status;
    }
}
