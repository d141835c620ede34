// SPDX-License-Identifier: MIT
// Cholesky factors of small matrices: A = L L^T or U^T U, one workgroup a matrix, matrices of any mix of sizes in one
// dispatch, retries with jitter included.
//
// The triangle is packed in shared memory (cholesky_block.glsl), so that the factor may replace A. U is L^T: its
// triangle is read and written transposed, and nothing else differs.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/cholesky.h"
#include "linalg/status.h"
#define JOB CholeskyJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"
#include "linalg/active.glsl"

const uint LARGEST = CHOLESKY_LARGEST_SMALL;
const uint DIAGONAL = LARGEST * (LARGEST + 1) / 2;
const uint POOL_FLOATS = DIAGONAL + LARGEST;

uint row_at(uint i) { return i * (i + 1) / 2; }

#include "linalg/cholesky_block.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

shared uint nonfinite;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    if (is_inactive(j, item, CHOLESKY_HAS_ACTIVE))
        return;
    U32 a = p.jobs.job[j].a;
    F32 l = p.jobs.job[j].l;
    uint n = p.jobs.job[j].n;
    uint flags = p.jobs.job[j].flags;
    uint retries = p.jobs.job[j].retries;
    uint a_stride = p.jobs.job[j].a_stride;
    uint a_base = item * p.jobs.job[j].a_item;
    bool upper = (flags & CHOLESKY_UPPER) != 0;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    if (t == 0)
        nonfinite = 0;
    barrier();
    float jitter = 0.0;
    bool positive = false;
    for (uint attempt = 0; attempt <= retries && !positive; ++attempt) {
        for (uint row = 0; row < n; ++row)
            for (uint col = t; col < n; col += threads)
                if (upper ? col >= row : col <= row) {
                    float x = load(a, a_base + row * a_stride + col, DTYPE_A);
                    if (is_nonfinite(x))
                        nonfinite = 1;
                    if (row == col) {
                        x += jitter;
                        pool[DIAGONAL + row] = x;
                    }
                    pool[upper ? row_at(col) + row : row_at(row) + col] = x;
                }
        barrier();
        bool usable = nonfinite == 0;
        float mean = 0.0;
        for (uint i = 0; i < n; ++i)
            mean += pool[DIAGONAL + i] * (1.0 / float(n));
        if (!usable)
            break; // no jitter helps
        positive = true;
        for (uint c = 0; c < n && positive; c += W) {
            positive = factor_in_pool(c, n, n, DIAGONAL, p.jobs.job[j].tolerance);
            barrier();
            update_in_pool(c + W, n, n, c, 0, W);
            barrier();
        }
        if (!positive && attempt < retries)
            jitter = attempt == 0 ? p.jobs.job[j].absolute + p.jobs.job[j].relative * mean : 10.0 * jitter;
    }
    if (!positive)
        jitter = 0.0;

    uint l_stride = p.jobs.job[j].l_stride;
    uint l_base = item * p.jobs.job[j].l_item;
    for (uint row = 0; row < n; ++row)
        for (uint col = t; col < n; col += threads) {
            bool inside = positive && (upper ? col >= row : col <= row);
            uint at = upper ? row_at(col) + row : row_at(row) + col;
            l.v[l_base + row * l_stride + col] = inside ? pool[inside ? at : 0] : 0.0;
        }
    if (t != 0)
        return;
    if ((flags & CHOLESKY_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = nonfinite != 0 ? STATUS_NONFINITE
                         : !positive    ? STATUS_INDEFINITE
                         : jitter > 0.0 ? STATUS_JITTERED
                                        : STATUS_OK;
    }
    if ((flags & CHOLESKY_HAS_JITTER) != 0) {
        F32 used = p.jobs.job[j].jitter;
        used.v[item] = jitter;
    }
}
