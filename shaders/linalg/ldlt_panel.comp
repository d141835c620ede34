// SPDX-License-Identifier: MIT
// A panel of the blocked LDL^T (LAPACK's slasyf): up to LDLT_PANEL + 1 columns of L with Bunch and Kaufman's pivots,
// one workgroup a matrix. Products subtract the panel from what is left of A after it.
//
// What is left of A is read and never changed here, but for interchanges: a pivot's column, and the column that it is
// compared with, are brought up to date as they are needed, with the columns of L and of L D that the panel has so far.
// Row i of all of these belongs to one invocation, so that most of what it reads it has written itself; the rest is
// read after a barrier with a memory barrier.
//
// A block of two that begins with the last column takes one more, and what comes after does not change it: products add
// zero times its row of L, and copy what it has above the diagonal below it.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/ldlt.h"
#define JOB LdltPanelJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"
#include "linalg/ldlt.glsl"

shared float factors[LDLT_SLOTS + 8]; // a loop may look a round too far

// Column `of` of what is left, rows from `k` on, as the panel's first `slots` columns leave it, into `to` of L D;
// `value` and `index` are its largest magnitude next to element `of` itself. `first` is this invocation's first row.
void update_column(CoherentF32 w, uint w_base, uint w_stride, CoherentF32 l_panel, CoherentF32 ld_panel, uint panel_base, uint n,
                   uint first, uint of, uint slots, uint to, out float value, out uint index) {
    for (uint c = gl_LocalInvocationID.x; c < LDLT_SLOTS; c += gl_WorkGroupSize.x)
        factors[c] = c < slots ? ld_panel.v[panel_base + c * n + of] : 0.0;
    barrier();
    value = 0.0;
    index = of;
    for (uint i = first; i < n; i += gl_WorkGroupSize.x) {
        float x = w.v[w_base + (i < of ? i * w_stride + of : of * w_stride + i)];
        uint at = panel_base + i;
        [[dont_unroll]] for (uint c = 0; c < slots; c += 4) { // columns from `slots` on are zero
            x -= factors[c] * l_panel.v[at];
            x -= factors[c + 1] * l_panel.v[at + n];
            x -= factors[c + 2] * l_panel.v[at + 2 * n];
            x -= factors[c + 3] * l_panel.v[at + 3 * n];
            at += 4 * n;
        }
        ld_panel.v[panel_base + to * n + i] = x;
        if (i != of && abs(x) > value) {
            value = abs(x);
            index = i;
        }
    }
    workgroup_max(value, index);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    CoherentF32 w = p.jobs.job[j].w;
    F32 d = p.jobs.job[j].d;
    U32 permutation = p.jobs.job[j].permutation;
    U32 state = p.jobs.job[j].state;
    CoherentF32 l_panel = p.jobs.job[j].l_panel;
    CoherentF32 ld_panel = p.jobs.job[j].ld_panel;
    uint n = p.jobs.job[j].n;
    uint begin = p.jobs.job[j].begin;
    uint stride = p.jobs.job[j].w_stride;
    uint base = item * p.jobs.job[j].w_item;
    uint panel = item * LDLT_SLOTS * n;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;

    uint state_at = item * LDLT_STATE_WORDS;
    uint largest = state.v[state_at + LDLT_STATE_LARGEST];
    if (largest >= 0x7f800000u)
        return;
    float least = p.jobs.job[j].tolerance * uintBitsToFloat(largest);
    uint k = state.v[state_at + LDLT_STATE_NEXT];
    uint end = min(begin + LDLT_PANEL, n);
    bool singular = false, beyond = false;

    for (uint i = begin + (t - begin) % threads; i < n; i += threads)
        for (uint c = 0; c < LDLT_SLOTS; ++c) {
            l_panel.v[panel + c * n + i] = 0.0;
            ld_panel.v[panel + c * n + i] = 0.0;
        }
    while (k < end) {
        // --- The pivot. All invocations decide alike.
        uint slot = k - begin;
        uint column0 = panel + slot * n;
        uint column1 = column0 + n;
        uint mine = k + (t - k) % threads; // the first of this invocation's rows, those that are t modulo threads
        float column_max;
        uint found;
        update_column(w, base, stride, l_panel, ld_panel, panel, n, mine, k, slot, slot, column_max, found);
        float diagonal = abs(ld_panel.v[column0 + k]);
        uint pivot = k;
        uint size = 1;
        bool nothing = max(diagonal, column_max) <= least;
        if (!nothing && diagonal < LDLT_ALPHA * column_max) {
            float row_max;
            uint unused;
            update_column(w, base, stride, l_panel, ld_panel, panel, n, mine, found, slot, slot + 1, row_max, unused);
            float other = abs(ld_panel.v[column1 + found]);
            if (diagonal < LDLT_ALPHA * column_max * (column_max / row_max)) {
                pivot = found;
                size = other >= LDLT_ALPHA * row_max ? 1 : 2;
                if (size == 1)
                    for (uint i = mine; i < n; i += threads)
                        ld_panel.v[column0 + i] = ld_panel.v[column1 + i];
            }
        }
        all_barrier(); // everybody has seen the pivot

        // --- Interchange rows and columns `from` and `pivot`
        uint from = k + size - 1;
        if (pivot != from) {
            for (uint i = t; i < n; i += threads) {
                uint one = i < k ? from * stride + i : from * stride + max(i, from);
                uint two = pivot * stride + i;
                if (i == from)
                    two = pivot * (stride + 1);
                else if (i > from && i < pivot)
                    two = i * stride + pivot;
                if (i < k || (i >= from && i != pivot)) {
                    float x = w.v[base + one];
                    w.v[base + one] = w.v[base + two];
                    w.v[base + two] = x;
                }
            }
            for (uint c = t; c < slot + size; c += threads) {
                uint one = panel + c * n + from;
                uint two = panel + c * n + pivot;
                float x = ld_panel.v[one];
                ld_panel.v[one] = ld_panel.v[two];
                ld_panel.v[two] = x;
                x = l_panel.v[one];
                l_panel.v[one] = l_panel.v[two];
                l_panel.v[two] = x;
            }
            if (t == 0) {
                uint one = item * n + min(from, n - 1); // in a loop's last, masked round, too
                uint two = item * n + min(pivot, n - 1);
                uint x = permutation.v[one];
                permutation.v[one] = permutation.v[two];
                permutation.v[two] = x;
            }
        }
        all_barrier();

        // --- The columns of L, and D
        uint next = k + size;
        float d0 = ld_panel.v[column0 + k];
        float beside = 0.0;
        float d1 = 0.0;
        float scale = 0.0;
        if (size == 2) {
            beside = ld_panel.v[column0 + k + 1];
            d1 = ld_panel.v[column1 + k + 1];
            scale = (1.0 / ((d1 / beside) * (d0 / beside) - 1.0)) / beside;
        }
        singular = singular || nothing;
        beyond = beyond || is_nonfinite(d0) || is_nonfinite(beside) || is_nonfinite(d1);
        for (uint i = next + (t - next) % threads; i < n; i += threads) {
            float x0 = ld_panel.v[column0 + i];
            float l0 = nothing ? 0.0 : x0 / d0;
            if (size == 2) {
                float x1 = ld_panel.v[column1 + i];
                l0 = scale * ((d1 / beside) * x0 - x1);
                float l1 = scale * ((d0 / beside) * x1 - x0);
                l_panel.v[column1 + i] = l1;
                w.v[base + i * stride + k + 1] = l1;
            }
            if (nothing)
                ld_panel.v[column0 + i] = 0.0;
            l_panel.v[column0 + i] = l0;
            w.v[base + i * stride + k] = l0;
        }
        if (t == 0) {
            d.v[2 * (item * n + k)] = nothing ? 0.0 : d0;
            d.v[2 * (item * n + k) + 1] = beside;
            if (size == 2) {
                d.v[2 * (item * n + k) + 2] = d1;
                d.v[2 * (item * n + k) + 3] = 0.0;
                w.v[base + (k + 1) * stride + k] = 0.0; // inside of a block of two L is the identity
            }
        }
        k = next;
        all_barrier();
    }
    all_barrier(); // everybody has read the state

    // --- For the products: nothing in the column that was only looked at; the row of a pivot beyond the panel
    for (uint i = begin + (t - begin) % threads; i < n; i += threads) {
        ld_panel.v[panel + (k - begin) * n + i] = 0.0;
        if (k > end && i >= k)
            w.v[base + end * stride + i] = l_panel.v[panel + LDLT_PANEL * n + i];
    }
    if (k > end)
        for (uint c = t; c < LDLT_SLOTS; c += threads)
            l_panel.v[panel + c * n + end] = 0.0;
    if (t == 0) {
        state.v[state_at + LDLT_STATE_NEXT] = k;
        if (singular || beyond)
            state.v[state_at + LDLT_STATE_PIVOTS] = max(state.v[state_at + LDLT_STATE_PIVOTS], beyond ? 2u : 1u);
    }
}
