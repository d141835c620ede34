// SPDX-License-Identifier: MIT
// jacobi_solve.comp for CPU drivers and the absolute measure (not SOLVE_RELATIVE): one subgroup a matrix, in memory of
// its invocations, which on these drivers costs a tenth of shared memory (shaders/README.md).
//
// Invocation `lane` has the rows W s + lane of V and of G = A V, whose columns are rotated in pairs: no rows, so that
// nobody needs what others have. Then
//
//   a_pq = v_p . g_q       a_pp and a_qq: updated with each rotation
//
// off by u |A|, as the absolute measure allows. W disjoint pairs at a time: their dot products, then the rotations, a
// pair an invocation, then the columns. A dispatch that goes on begins with V and G = A V: X stays what it was.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "linalg/jacobi.h"
#define JOB JacobiSolveJob
#include "core/kernel.glsl"
#include "linalg/jacobi.glsl"
#include "linalg/jacobi_rotation.glsl"

layout(constant_id = SPEC_ORDER) const uint ORDER = 64; // a multiple of ROWS W
layout(constant_id = SPEC_SUBGROUP) const uint W = 8;

const uint ROWS = 4; // at a time

float v[ORDER / W * ORDER]; // column k at k `slots`: rows of this invocation
float g[ORDER / W * ORDER];
float diagonal[ORDER]; // the same in all invocations

// Not a loop: lavapipe ends every loop after 65,535 iterations of all loops of an invocation. Three sweeps have 57,000.
float subgroup_sum(float x) {
    x += subgroupShuffle(x, gl_SubgroupInvocationID ^ 1);
    x += subgroupShuffle(x, gl_SubgroupInvocationID ^ 2);
    if (W > 4)
        x += subgroupShuffle(x, gl_SubgroupInvocationID ^ (W > 4 ? 4 : 0));
    if (W > 8)
        x += subgroupShuffle(x, gl_SubgroupInvocationID ^ (W > 8 ? 8 : 0));
    return x;
}

float dot_of(uint k, uint l, uint slots) {
    float sums[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        sums[r] = 0.0;
    for (uint s = 0; s < slots; s += ROWS)
        [[unroll]] for (uint r = 0; r < ROWS; ++r)
            sums[r] += v[k * slots + s + r] * g[l * slots + s + r];
    float sum = 0.0;
    [[unroll]] for (uint r = 0; r < ROWS; ++r)
        sum += sums[r];
    return subgroup_sum(sum);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 x = p.jobs.job[j].x;
    F32 jt = p.jobs.job[j].jt;
    F32 result = p.jobs.job[j].j;
    F32 partials = p.jobs.job[j].partials;
    U32 state = p.jobs.job[j].state;
    uint order = p.jobs.job[j].order;
    uint block = p.jobs.job[j].block;
    uint pairs = p.jobs.job[j].pairs;
    uint flags = p.jobs.job[j].flags;
    uint item = group / pairs;
    uint pair = group - item * pairs;
    if (state.v[item * JACOBI_STATE_WORDS + JACOBI_FROZEN] != 0)
        return;
    uint lane = gl_SubgroupInvocationID;
    uint m = order + (order & 1);
    uint halves = m / 2;
    uint slots = ((m + W - 1) / W + ROWS - 1) / ROWS * ROWS;

    // Index k of the pair is column k of block `first`, or k - block of block `second`.
    uint first = 0, second = 0;
    if (p.jobs.job[j].x_pair == 0 && block != 0) {
        uvec2 met = jacobi_pair(pair, p.jobs.job[j].round, p.jobs.job[j].blocks);
        first = met.x * block;
        second = met.y * block - block;
    }
    uint x_at = item * p.jobs.job[j].x_item + pair * p.jobs.job[j].x_pair;
    uint x_stride = p.jobs.job[j].x_stride;
    uint jt_at = group * m * m;
    bool continued = (flags & SOLVE_CONTINUED) != 0;

    // V and G; rows and columns beyond the matrix are zero, and such columns are never rotated with others: a_pq = 0.
    for (uint k = 0; k < m; ++k) {
        uint col = min(k, order - 1);
        for (uint s = 0; s < slots; ++s) {
            uint row = min(s * W + lane, order - 1);
            bool inside = s * W + lane < order && k < order;
            uint low = min(row, col), high = max(row, col); // the upper triangle is read
            low += low < block ? first : second;
            high += high < block ? first : second;
            float value = x.v[x_at + low * x_stride + high];
            g[k * slots + s] = inside ? value : 0.0;
            float start = row == k ? 1.0 : 0.0;
            if (continued)
                start = jt.v[jt_at + min(k, m - 1) * m + row];
            v[k * slots + s] = inside ? start : 0.0;
        }
    }
    if (continued) {
        // G <- A V, for which A is in G: row by row of A, held by all invocations in pieces.
        for (uint s = 0; s < slots; ++s) {
            // The rows W s + lane of A V from those of A, before they are overwritten.
            float row_of_a[ORDER];
            for (uint k = 0; k < ORDER; ++k)
                row_of_a[k] = k < m ? g[min(k, m - 1) * slots + s] : 0.0;
            for (uint k = 0; k < m; ++k) {
                float sum = 0.0;
                for (uint q = 0; q < slots; ++q) {
                    float column = v[k * slots + q];
                    [[unroll]] for (uint u = 0; u < W; ++u)
                        sum += row_of_a[min(q * W + u, ORDER - 1)] * subgroupShuffle(column, u);
                }
                g[k * slots + s] = sum;
            }
        }
    }
    for (uint k = 0; k < m; ++k)
        diagonal[k] = dot_of(k, k, slots);

    uint sweeps = p.jobs.job[j].sweeps;
    float tolerance = p.jobs.job[j].tolerance;
    float partial = 0.0;
    for (uint sweep = 0; sweep < sweeps; ++sweep) {
        float met = 0.0; // of the pairs of this invocation
        for (uint round = 0; round + 1 < m; ++round)
            for (uint i0 = 0; i0 < halves; i0 += W) {
                uvec2 own = jacobi_pair(min(i0 + lane, halves - 1), round, m);
                uint count = min(W, halves - i0);
                float apq = 0.0;
                for (uint i = 0; i < count; ++i) {
                    float sum = dot_of(subgroupShuffle(own.x, i), subgroupShuffle(own.y, i), slots);
                    apq = lane == i ? sum : apq;
                }
                float app = diagonal[own.x];
                float aqq = diagonal[own.y];
                float t;
                vec2 rotation = rotation_of(app, aqq, apq, t);
                met += apq * apq;
                float change = t * apq;
                for (uint i = 0; i < count; ++i) {
                    uint k = subgroupShuffle(own.x, i);
                    uint l = subgroupShuffle(own.y, i);
                    float sine = subgroupShuffle(rotation.x, i);
                    float tau = subgroupShuffle(rotation.y, i);
                    float shift = subgroupShuffle(change, i);
                    if (sine == 0.0)
                        continue;
                    diagonal[k] -= shift;
                    diagonal[l] += shift;
                    for (uint s = 0; s < slots; s += ROWS)
                        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
                            uint at_k = k * slots + s + r;
                            uint at_l = l * slots + s + r;
                            float a = v[at_k], b = v[at_l];
                            v[at_k] = a - sine * (b + tau * a);
                            v[at_l] = b + sine * (a - tau * b);
                            a = g[at_k];
                            b = g[at_l];
                            g[at_k] = a - sine * (b + tau * a);
                            g[at_l] = b + sine * (a - tau * b);
                        }
                }
            }
        float sum = subgroup_sum(met);
        if (sweep == 0 || (flags & SOLVE_LAST) != 0)
            partial = sum;
        if (sum <= tolerance)
            break;
    }
    if (lane == 0)
        partials.v[item * p.jobs.job[j].partial_item + p.jobs.job[j].partial_at + pair] = partial;

    uint result_at = group * order * order;
    for (uint s = 0; s < slots; ++s) {
        uint row = s * W + lane;
        for (uint k = 0; k < m; ++k) {
            float value = v[k * slots + s];
            if (row < order && k < order) {
                result.v[result_at + row * order + k] = value;
                if ((flags & SOLVE_KEEP) != 0) // the next dispatch goes on
                    jt.v[jt_at + k * m + row] = value;
            }
        }
    }
}
