// SPDX-License-Identifier: MIT
// One panel of a blocked Cholesky factorisation: 32 columns of L, of many matrices in one dispatch.
//
//   D   = W[c.., c..] - L[c.., s..c) L[c.., s..c)^T      the diagonal block
//   L11 = Cholesky factor of D
//   L21 = (W[r.., c..] - L[r.., s..c) L[c.., s..c)^T) L11^-T
//
// c is the panel's first column; what columns before s contribute has been subtracted from W already. A workgroup computes
// ROWS rows of L21, an invocation PER_THREAD of them one after the other, in registers; every workgroup computes L11 anew,
// which costs less than a dispatch that does nothing else. (CPU drivers have
// another form: L11^-1 instead of L21, which follows by a product. There loads cost more than dispatches.) W is only read, so that L may lie over A.
//
// An attempt after the first adds jitter to the diagonal, and does nothing when the attempt before it succeeded.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/cholesky.h"
#define JOB CholeskyPanelJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

const uint B = CHOLESKY_PANEL;
const uint DIAGONAL = B * (B + 1) / 2;
#define CHOLESKY_FLOATS (DIAGONAL + B)
#include "linalg/cholesky_block.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1;

shared float left[B * B]; // L[c + q][k0 + k] at q + B k
shared float reciprocals[B];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 w = p.jobs.job[j].w;
    F32 l = p.jobs.job[j].l;
    F32 diagonal = p.jobs.job[j].diagonal;
    U32 states = p.jobs.job[j].states;
    uint n = p.jobs.job[j].n;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint l_row = p.jobs.job[j].l_row;
    uint l_col = p.jobs.job[j].l_col;
    uint begin = p.jobs.job[j].begin;
    uint c = p.jobs.job[j].first;
    uint attempt = p.jobs.job[j].attempt;
    uint w_base = item * n * n;
    uint l_base = item * p.jobs.job[j].l_item;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    bool writes_state = group == 0 && t == 0;

    uint panels = (n + B - 1) / B;
    uint state_at = (item * p.jobs.job[j].attempts + attempt) * panels + c / B;
    if (attempt > 0 && states.v[state_at - c / B - 1] == 0) {
        if (writes_state)
            states.v[state_at] = 0;
        return;
    }
    if (c > 0 && states.v[state_at - 1] != 0) {
        if (writes_state)
            states.v[state_at] = 1;
        return;
    }

    float jitter = 0.0;
    if (attempt > 0) {
        float mean = 0.0;
        for (uint i = 0; i < n; ++i)
            mean += diagonal.v[item * n + min(i, n - 1)] * (1.0 / float(n));
        jitter = p.jobs.job[j].absolute + p.jobs.job[j].relative * mean;
    }

    // --- The diagonal block
    uint width = min(B, n - c);
    for (uint e = t; e < B * B; e += threads) {
        uint q = e / B;
        uint r = e - q * B;
        if (q < width && r <= q) {
            float x = w.v[w_base + (c + q) * n + c + r];
            if (q == r) {
                x += jitter;
                pool[DIAGONAL + q] = diagonal.v[item * n + c + q] + jitter;
            }
            pool[triangle(q) + r] = x;
        }
    }
    for (uint k0 = begin; k0 < c; k0 += B) {
        barrier();
        for (uint e = t; e < B * B; e += threads) {
            uint q = l_row == 1 ? e % B : e / B;
            uint k = l_row == 1 ? e / B : e % B;
            left[k * B + q] = l.v[l_base + min(c + q, n - 1) * l_row + (k0 + k) * l_col];
        }
        barrier();
        for (uint e = t; e < B * B; e += threads) {
            uint q = e / B;
            uint r = e - q * B;
            if (q < width && r <= q) {
                float acc = 0.0;
                [[unroll]] for (uint k = 0; k < B; ++k)
                    acc += left[k * B + q] * left[k * B + r];
                pool[triangle(q) + r] -= acc;
            }
        }
    }
    barrier();
    bool positive = factor_in_pool(width, DIAGONAL, p.jobs.job[j].tolerance);
    if (writes_state)
        states.v[state_at] = positive ? 0 : 1;
    if (!positive)
        return;
    for (uint q = t; q < width; q += threads)
        reciprocals[q] = 1.0 / pool[triangle(q) + q];
    barrier();
    if (group == 0)
        for (uint e = t; e < B * B; e += threads) {
            uint q = l_row == 1 ? e % B : e / B;
            uint r = l_row == 1 ? e / B : e % B;
            if (q < width && r <= q)
                l.v[l_base + (c + q) * l_row + (c + r) * l_col] = pool[triangle(q) + r];
        }

    if ((p.jobs.job[j].flags & CHOLESKY_INVERTS) != 0) {
        // Column after column, an invocation each: X is zero above the diagonal, so that sums may begin there. Rows and
        // columns beyond a narrow last block are not used.
        F32 inverse = p.jobs.job[j].inverse;
        uint base = item * B * B;
        for (uint col = t; col < width; col += threads) {
            float x[B];
            for (uint q = 0; q < B; ++q) {
                x[q] = q == col ? 1.0 : 0.0;
                for (uint r = 0; r < q; ++r)
                    x[q] -= x[r] * pool[triangle(q) + r];
                x[q] *= reciprocals[q];
                inverse.v[base + q * B + col] = x[q];
            }
        }
        return;
    }

    // --- The rows below it, of which there are none where the panel is narrower than B
    for (uint pass = 0; pass < PER_THREAD; ++pass) {
        uint first = c + B + (group * PER_THREAD + pass) * threads;
        if (first >= n)
            return;
        uint row = min(first + t, n - 1);
        float x[B];
        [[unroll]] for (uint q = 0; q < B; ++q)
            x[q] = w.v[w_base + row * n + c + q];
        for (uint k0 = begin; k0 < c; k0 += B) {
            barrier();
            for (uint e = t; e < B * B; e += threads) {
                uint q = l_row == 1 ? e % B : e / B;
                uint k = l_row == 1 ? e / B : e % B;
                left[k * B + q] = l.v[l_base + (c + q) * l_row + (k0 + k) * l_col];
            }
            barrier();
            for (uint k = 0; k < B; ++k) {
                float y = l.v[l_base + row * l_row + (k0 + min(k, B - 1)) * l_col];
                [[unroll]] for (uint q = 0; q < B; ++q)
                    x[q] -= y * left[k * B + q];
            }
        }
        for (uint q = 0; q < B; ++q) { // not unrolled: 500 terms take SwiftShader minutes
            for (uint r = 0; r < q; ++r)
                x[q] -= x[r] * pool[triangle(q) + r];
            x[q] *= reciprocals[q];
        }
        if (first + t < n)
            [[unroll]] for (uint q = 0; q < B; ++q)
                l.v[l_base + row * l_row + (c + q) * l_col] = x[q];
    }
}
