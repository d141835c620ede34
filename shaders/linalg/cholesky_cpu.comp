// SPDX-License-Identifier: MIT
// Cholesky factors for CPU drivers: A = L L^T or U^T U, one subgroup a matrix, in memory of its invocations, matrices
// of any mix of sizes in one dispatch, retries with jitter included. Also a diagonal block of a larger matrix
// (CHOLESKY_IS_BLOCK).
//
// Invocation `lane` has the rows W s + lane, s = 0, 1, ..., up to the end of the diagonal block; W is the size of the
// subgroup. Rows of others come by shuffles. On these drivers a load from an invocation's own memory costs a tenth of
// one from shared memory and a twentieth of one from a buffer (lavapipe 22.3: 1.2, 10 and 22 ns for eight invocations),
// and a shuffle 1.5 ns.
//
// Left-looking, W columns at a time, ROWS rows of each invocation:
//
//   update   they lose their products with the columns before
//   factor   column by column; the pivots come from the diagonal block, which is the first row that is done
//
// The other triangle of A is not read; U is L^T, so that A is read and U written transposed.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linalg/cholesky.h"
#include "linalg/status.h"
#define JOB CholeskyJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"
#include "linalg/active.glsl"
#include "linalg/cholesky_root.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_SUBGROUP) const uint W = 8;

const uint ROWS = 4;
const uint SLOTS = CHOLESKY_LARGEST_CPU / W;

float own[W * SLOTS * (SLOTS + 1) / 2];
float diagonal[SLOTS];

uint slot_at(uint s) { return W * (s * (s + 1) / 2); }

// Factors what is in `own`, in rows of all slots. False when a pivot was too small or not finite.
bool factor(uint slots, float tolerance) {
    uint lane = gl_SubgroupInvocationID;
    bool positive = true;
    for (uint b = 0; b < slots && positive; ++b) {
        uint c = b * W;
        uint block = slot_at(b);
        float d[W];
        float inverse[W];
        for (uint first = b; first < slots; first += ROWS) {
            // Slots beyond the last one repeat it and are not stored.
            uint at[ROWS];
            float acc[ROWS][W];
            [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                at[r] = slot_at(min(first + r, slots - 1));
                [[unroll]] for (uint q = 0; q < W; ++q)
                    acc[r][q] = own[at[r] + c + q];
            }
            for (uint k = 0; k < c; ++k) {
                float y = own[block + k];
                float x[ROWS];
                [[unroll]] for (uint r = 0; r < ROWS; ++r)
                    x[r] = own[at[r] + k];
                [[unroll]] for (uint q = 0; q < W; ++q) {
                    float row = subgroupShuffle(y, q);
                    [[unroll]] for (uint r = 0; r < ROWS; ++r)
                        acc[r][q] -= x[r] * row;
                }
            }
            [[unroll]] for (uint q = 0; q < W; ++q) {
                if (first == b) {
                    float pivot = subgroupShuffle(acc[0][q], q);
                    bool good = is_pivot(pivot, tolerance * subgroupShuffle(diagonal[b], q));
                    positive = positive && good;
                    pivot = good ? pivot : 1.0;
                    inverse[q] = reciprocal_root(pivot);
                    d[q] = lane == q ? root(pivot, inverse[q]) : acc[0][q] * inverse[q];
                }
                [[unroll]] for (uint r = 0; r < ROWS; ++r)
                    acc[r][q] *= inverse[q];
                [[unroll]] for (uint s = q + 1; s < W; ++s) {
                    float row = subgroupShuffle(d[q], s);
                    [[unroll]] for (uint r = 0; r < ROWS; ++r)
                        acc[r][s] -= acc[r][q] * row;
                }
            }
            [[unroll]] for (uint r = 0; r < ROWS; ++r)
                if (first + r < slots)
                    [[unroll]] for (uint q = 0; q < W; ++q)
                        own[at[r] + c + q] = first + r == b ? d[q] : acc[r][q];
        }
    }
    return positive;
}

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
    F32 original = p.jobs.job[j].diagonal;
    U32 states = p.jobs.job[j].states;
    uint n = p.jobs.job[j].n;
    uint flags = p.jobs.job[j].flags;
    uint retries = p.jobs.job[j].retries;
    bool upper = (flags & CHOLESKY_UPPER) != 0;
    bool is_block = (flags & CHOLESKY_IS_BLOCK) != 0;
    uint a_row = upper || is_block ? 1 : p.jobs.job[j].a_stride;
    uint a_col = upper || is_block ? p.jobs.job[j].a_stride : 1;
    uint a_base = p.jobs.job[j].a_first + item * p.jobs.job[j].a_item;
    uint l_row = upper ? 1 : p.jobs.job[j].l_stride;
    uint l_col = upper ? p.jobs.job[j].l_stride : 1;
    uint l_base = p.jobs.job[j].l_first + item * p.jobs.job[j].l_item;
    uint lane = gl_SubgroupInvocationID;
    uint slots = (n + W - 1) / W;

    uint original_at = p.jobs.job[j].diagonal_first + item * p.jobs.job[j].diagonal_item;
    uint state_at = item * p.jobs.job[j].state_item + p.jobs.job[j].state;
    bool failed_before = is_block && p.jobs.job[j].state > 0 && states.v[max(state_at, 1) - 1] != 0;

    float jitter = 0.0;
    bool positive = false;
    bool finite = true;
    for (uint attempt = 0; attempt <= retries && !positive && finite && !failed_before; ++attempt) {
        // Rows and columns from n on are those of the identity.
        uint nonfinite = 0;
        float sum = 0.0;
        for (uint s = 0; s < slots; ++s) {
            uint row = s * W + lane;
            uint stored_row = min(row, n - 1);
            diagonal[s] = 1.0;
            for (uint col = 0; col < (s + 1) * W; ++col) {
                float x = load(a, a_base + stored_row * a_row + min(col, stored_row) * a_col, DTYPE_A);
                bool inside = row < n && col <= row;
                if (inside && is_nonfinite(x))
                    nonfinite = 1;
                if (!inside)
                    x = row == col ? 1.0 : 0.0;
                if (row == col && row < n) {
                    sum += x * (1.0 / float(n));
                    x += jitter;
                    diagonal[s] = is_block ? original.v[original_at + stored_row] : x;
                }
                own[slot_at(s) + col] = x;
            }
        }
        float mean = 0.0;
        uint found = 0;
        for (uint i = 0; i < W; ++i) {
            mean += subgroupShuffle(sum, i);
            found |= subgroupShuffle(nonfinite, i);
        }
        finite = found == 0;
        if (finite) {
            positive = factor(slots, p.jobs.job[j].tolerance);
            if (!positive && attempt < retries)
                jitter = attempt == 0 ? p.jobs.job[j].absolute + p.jobs.job[j].relative * mean : 10.0 * jitter;
        }
    }
    if (!positive)
        jitter = 0.0;

    for (uint s = 0; s < slots; ++s) {
        uint row = s * W + lane;
        for (uint col = 0; col < n; ++col) {
            float x = own[slot_at(s) + min(col, s * W + W - 1)];
            if (row < n)
                l.v[l_base + row * l_row + col * l_col] = positive && col <= row ? x : 0.0;
        }
    }
    if (lane != 0)
        return;
    if (is_block)
        for (uint i = 0; i < p.jobs.job[j].state_count; ++i)
            states.v[state_at + i] = positive ? 0 : 1;
    if ((flags & CHOLESKY_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = !finite        ? STATUS_NONFINITE
                         : !positive    ? STATUS_INDEFINITE
                         : jitter > 0.0 ? STATUS_JITTERED
                                        : STATUS_OK;
    }
    if ((flags & CHOLESKY_HAS_JITTER) != 0) {
        F32 used = p.jobs.job[j].jitter;
        used.v[item] = jitter;
    }
}
