// SPDX-License-Identifier: MIT
// P A P^T = L D L^T with Bunch and Kaufman's pivots (Math. Comp. 31, 1977; LAPACK's ssytf2), D with blocks of one and
// of two rows; one workgroup a matrix, many matrices in one dispatch.
//
// Right-looking, in L's own memory, lower triangle only. The pivot's one or two columns are copied to shared memory;
// then each element below and right of them is updated by the owner of its column, so that neighbouring invocations
// touch neighbouring elements. Memory that other invocations have written is read after a barrier with a memory
// barrier.
//
// Needs 8 LDLT_LARGEST_SMALL bytes of shared memory and 8 an invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/ldlt.h"
#include "linalg/status.h"
#define JOB LdltJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"
#include "linalg/ldlt.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

shared float column0[LDLT_LARGEST_SMALL]; // of the pivot, from its own row on
shared float column1[LDLT_LARGEST_SMALL];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    U32 a = p.jobs.job[j].a;
    CoherentF32 w = p.jobs.job[j].l;
    F32 d = p.jobs.job[j].d;
    U32 permutation = p.jobs.job[j].permutation;
    uint n = p.jobs.job[j].n;
    uint a_stride = p.jobs.job[j].a_stride;
    uint a_base = item * p.jobs.job[j].a_item;
    uint stride = p.jobs.job[j].l_stride;
    uint base = item * p.jobs.job[j].l_item;
    bool upper = (p.jobs.job[j].flags & LDLT_UPPER) != 0;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint d_base = 2 * item * n;

    // --- The lower triangle, its largest element, and whether all are finite
    float largest = 0.0;
    float nonfinite = 0.0;
    for (uint row = 0; row < n; ++row)
        for (uint col = t; col <= row; col += threads) {
            float x = load(a, a_base + (upper ? col * a_stride + row : row * a_stride + col), DTYPE_A);
            if (is_nonfinite(x))
                nonfinite = 1.0;
            largest = max(largest, abs(x));
            w.v[base + row * stride + col] = x;
        }
    uint ignored = t;
    workgroup_max(nonfinite, ignored);
    ignored = t;
    workgroup_max(largest, ignored);
    for (uint i = t; i < n; i += threads)
        permutation.v[item * n + i] = i;
    all_barrier();
    float least = p.jobs.job[j].tolerance * largest;
    bool finite = nonfinite == 0.0;
    uint found_status = finite ? STATUS_OK : STATUS_NONFINITE;

    bool beyond = false; // whether a pivot is, as the first invocation sees it
    uint k = 0;
    while (finite && k < n) {
        // --- The pivot. All invocations decide alike.
        float diagonal = abs(w.v[base + k * (stride + 1)]);
        float column_max = 0.0;
        uint found = k;
        for (uint i = k + 1 + t; i < n; i += threads) {
            float x = abs(w.v[base + i * stride + k]);
            if (x > column_max) {
                column_max = x;
                found = i;
            }
        }
        workgroup_max(column_max, found);
        uint pivot = k;
        uint size = 1;
        bool nothing = max(diagonal, column_max) <= least;
        if (!nothing && diagonal < LDLT_ALPHA * column_max) {
            float row_max = 0.0;
            uint unused = 0;
            for (uint i = k + t; i < n; i += threads) {
                if (i == found)
                    continue;
                uint at = i < found ? found * stride + i : i * stride + found;
                row_max = max(row_max, abs(w.v[base + at]));
            }
            workgroup_max(row_max, unused);
            float other = abs(w.v[base + found * (stride + 1)]);
            if (diagonal >= LDLT_ALPHA * column_max * (column_max / row_max)) {
                pivot = k;
            } else if (other >= LDLT_ALPHA * row_max) {
                pivot = found;
            } else {
                pivot = found;
                size = 2;
            }
        }

        // --- Interchange rows and columns `from` and `pivot`
        uint from = k + size - 1;
        barrier(); // everybody has seen the pivot
        if (pivot != from) {
            for (uint i = t; i < n; i += threads) {
                uint one, two;
                if (i < from) { // of L, and the first column of a block of two
                    one = from * stride + i;
                    two = pivot * stride + i;
                } else if (i == from) {
                    one = from * (stride + 1);
                    two = pivot * (stride + 1);
                } else if (i < pivot) {
                    one = i * stride + from;
                    two = pivot * stride + i;
                } else {
                    one = i * stride + from;
                    two = i * stride + pivot;
                }
                if (i != pivot) {
                    float x = w.v[base + one];
                    w.v[base + one] = w.v[base + two];
                    w.v[base + two] = x;
                }
            }
            if (t == 0) {
                uint x = permutation.v[item * n + from];
                permutation.v[item * n + from] = permutation.v[item * n + pivot];
                permutation.v[item * n + pivot] = x;
            }
        }
        all_barrier();

        // --- The pivot's columns, and D
        uint next = k + size;
        for (uint i = k + t; i < n; i += threads) {
            column0[i] = w.v[base + i * stride + k];
            if (size == 2 && i > k)
                column1[i] = w.v[base + i * stride + k + 1];
        }
        all_barrier();
        if (nothing) {
            found_status = STATUS_SINGULAR;
            for (uint i = k + t; i < n; i += threads)
                w.v[base + i * stride + k] = 0.0;
            if (t == 0) {
                d.v[d_base + 2 * k] = 0.0;
                d.v[d_base + 2 * k + 1] = 0.0;
            }
        } else if (size == 1) {
            float pivot_value = column0[k];
            for (uint row = next; row < n; ++row) {
                float factor = column0[min(row, n - 1)] / pivot_value;
                for (uint col = next + t; col <= row; col += threads)
                    w.v[base + row * stride + col] -= factor * column0[col];
                if (row % threads == t)
                    w.v[base + row * stride + k] = factor;
            }
            if (t == 0) {
                beyond = beyond || is_nonfinite(pivot_value);
                d.v[d_base + 2 * k] = pivot_value;
                d.v[d_base + 2 * k + 1] = 0.0;
            }
        } else {
            float d21 = column0[k + 1];
            float d11 = column1[k + 1] / d21;
            float d22 = column0[k] / d21;
            float scale = (1.0 / (d11 * d22 - 1.0)) / d21;
            for (uint row = next; row < n; ++row) {
                float x0 = column0[min(row, n - 1)];
                float x1 = column1[min(row, n - 1)];
                float factor0 = scale * (d11 * x0 - x1);
                float factor1 = scale * (d22 * x1 - x0);
                for (uint col = next + t; col <= row; col += threads)
                    w.v[base + row * stride + col] -= factor0 * column0[col] + factor1 * column1[col];
                if (row % threads == t) {
                    w.v[base + row * stride + k] = factor0;
                    w.v[base + row * stride + k + 1] = factor1;
                }
            }
            if (t == 0) {
                beyond = beyond || is_nonfinite(column0[k]) || is_nonfinite(d21) || is_nonfinite(column1[k + 1]);
                d.v[d_base + 2 * k] = column0[k];
                d.v[d_base + 2 * k + 1] = d21;
                d.v[d_base + 2 * k + 2] = column1[k + 1];
                d.v[d_base + 2 * k + 3] = 0.0;
            }
        }
        k = next;
        all_barrier();
        // Inside a block of two L is the identity.
        if (size == 2 && t == 0)
            w.v[base + (k - 1) * stride + k - 2] = 0.0;
    }
    all_barrier();

    // --- Ones on the diagonal, zeros above it; zeros everywhere for what could not be factored
    for (uint row = 0; row < n; ++row)
        for (uint col = t; col < n; col += threads) {
            if (!finite || col > row)
                w.v[base + row * stride + col] = 0.0;
            else if (col == row)
                w.v[base + row * stride + col] = 1.0;
        }
    if (!finite)
        for (uint i = t; i < 2 * n; i += threads)
            d.v[d_base + i] = 0.0;
    if (t == 0 && (p.jobs.job[j].flags & LDLT_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = beyond ? STATUS_NONFINITE : found_status;
    }
}
