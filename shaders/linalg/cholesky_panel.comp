// SPDX-License-Identifier: MIT
// One panel of a blocked Cholesky factorisation: 32 columns of L, of many matrices in one dispatch.
//
//   D   = W[c.., c..] - L[c.., s..c) L[c.., s..c)^T      the diagonal block
//   L11 = Cholesky factor of D
//   L21 = (W[r.., c..] - L[r.., s..c) L[c.., s..c)^T) L11^-T
//
// c is the panel's first column; what columns before s contribute has been subtracted from W already. A workgroup
// computes ROWS rows of L21. Every workgroup computes L11 anew, which costs less than a dispatch that does nothing
// else. W is only read, so that L may lie over A.
//
// An attempt after the first adds jitter to the diagonal, and does nothing when the attempt before it succeeded.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/cholesky.h"
#define JOB CholeskyPanelJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"
#include "linalg/active.glsl"

const uint B = CHOLESKY_PANEL;
const uint ROWS = CHOLESKY_PANEL_ROWS;

// The pool: the triangle of D, its diagonal, ROWS full rows, and DEPTH columns of L for all these rows. Odd strides
// keep neighbouring rows in different banks.
const uint DEPTH = 8;
const uint DIAGONAL = B * (B + 1) / 2;
const uint BELOW = DIAGONAL + B;
const uint STAGE = BELOW + ROWS * (B + 1);
const uint STAGE_STRIDE = DEPTH + 1;
const uint POOL_FLOATS = STAGE + (B + ROWS) * STAGE_STRIDE;

uint row_at(uint i) { return i < B ? i * (i + 1) / 2 : BELOW + (i - B) * (B + 1); }

#include "linalg/cholesky_block.glsl"

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
    if (is_inactive(j, item, CHOLESKY_HAS_ACTIVE))
        return;
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

    // Rows of the pool: those of the diagonal block, then, below a block of full width, this workgroup's. Rows beyond
    // the last one repeat it and are not stored.
    uint width = min(B, n - c);
    uint below = c + B + group * ROWS;
    uint rows = below < n ? B + min(ROWS, n - below) : width;
    for (uint e = t; e < rows * B; e += threads) {
        uint i = e / B;
        uint q = e % B;
        if (q <= i && q < width) {
            float x = w.v[w_base + (i < B ? c + i : below + i - B) * n + c + q];
            if (i == q) {
                x += jitter;
                pool[DIAGONAL + q] = diagonal.v[item * n + c + q] + jitter;
            }
            pool[row_at(i) + q] = x;
        }
    }
    barrier();
    // The columns before, DEPTH at a time, then the panel's own, W at a time: one loop, so that the update is in the
    // code once.
    bool positive = true;
    uint products = (c - begin) / DEPTH;
    uint steps = products + (width + W - 1) / W;
    for (uint step = 0; step < steps && positive; ++step) {
        bool staged = step < products;
        uint own = (step - products) * W;
        if (staged) {
            uint k0 = begin + step * DEPTH;
            for (uint e = t; e < rows * DEPTH; e += threads) {
                uint i = l_row == 1 ? e % rows : e / DEPTH;
                uint k = l_row == 1 ? e / rows : e % DEPTH;
                uint row = min(i < B ? c + i : below + i - B, n - 1);
                pool[STAGE + i * STAGE_STRIDE + k] = l.v[l_base + row * l_row + (k0 + k) * l_col];
            }
        } else {
            positive = factor_in_pool(own, rows, width, DIAGONAL, p.jobs.job[j].tolerance);
        }
        barrier();
        update_in_pool(staged ? 0 : own + W, rows, width, staged ? STAGE : own, staged ? STAGE_STRIDE : 0,
                       staged ? DEPTH : W);
        barrier();
    }
    if (writes_state)
        states.v[state_at] = positive ? 0 : 1;
    if (!positive)
        return;
    for (uint e = t; e < rows * B; e += threads) {
        uint i = l_row == 1 ? e % rows : e / B;
        uint q = l_row == 1 ? e / rows : e % B;
        bool stored = i < B ? group == 0 && q <= i : true;
        if (stored)
            l.v[l_base + (i < B ? c + i : below + i - B) * l_row + (c + q) * l_col] = pool[row_at(i) + q];
    }
}
