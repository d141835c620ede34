// SPDX-License-Identifier: MIT
// Eigenvectors of small symmetric matrices by parallel two-sided Jacobi, one workgroup a matrix: a whole matrix of
// eigh, or that of a pair of block columns.
//
//   theta = (a_qq - a_pp) / (2 a_pq)     t = sign(theta) / (|theta| + sqrt(1 + theta^2))     c = 1 / sqrt(1 + t^2)    
//   s = t c
//   (p, q) <- (p - s (q + tau p), q + s (p - tau q)),     tau = s / (1 + c)          (Rutishauser 1966: small angles
//   err less)
//
// of columns and rows of A and of columns of J, for m / 2 disjoint pairs at once, m - 1 rounds a sweep; no rotation
// where |a_pq| <= u sqrt(|a_pp a_qq|). Two barriers a round. A's upper triangle lies in shared memory. J^T lies in
// global memory: its column r belongs to one invocation from beginning to end, so that nobody waits for it, and
// neighbours in the workgroup are neighbours in memory.
//
// A dispatch does few sweeps and the next one goes on: lavapipe ends every loop of an invocation after 65,535
// iterations of all its loops together. For the same reason the inner loops are unrolled.
//
// Needs 4 m (m + 1) + 8 m bytes of shared memory, m <= ORDER.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/jacobi.h"
#define JOB JacobiSolveJob
#include "core/kernel.glsl"
#include "core/tile.glsl"
#include "linalg/jacobi.glsl"
#include "linalg/jacobi_rotation.glsl"

layout(constant_id = SPEC_ORDER) const uint ORDER = 32;

shared float a[ORDER * (ORDER + 1)];
shared vec4 rotations[ORDER / 2]; // s, tau, p, q of each pair (p and q are small integers, exact)

uint at(uint row, uint col, uint m) { return min(row, col) * (m + 1u) + max(row, col); }

// The 2 x 2 elements where the rows of one pair meet the columns of another.
void rotate_block(uvec2 tile, uint m) {
    vec4 u = rotations[tile.x];
    vec4 v = rotations[tile.y + 1u];
    uint at00 = at(uint(u.z), uint(v.z), m);
    uint at01 = at(uint(u.z), uint(v.w), m);
    uint at10 = at(uint(u.w), uint(v.z), m);
    uint at11 = at(uint(u.w), uint(v.w), m);
    float a00 = a[at00], a01 = a[at01], a10 = a[at10], a11 = a[at11];
    float b00 = a00 - u.x * (a10 + u.y * a00);
    float b01 = a01 - u.x * (a11 + u.y * a01);
    float b10 = a10 + u.x * (a00 - u.y * a10);
    float b11 = a11 + u.x * (a01 - u.y * a11);
    a[at00] = b00 - v.x * (b01 + v.y * b00);
    a[at01] = b01 + v.x * (b00 - v.y * b01);
    a[at10] = b10 - v.x * (b11 + v.y * b10);
    a[at11] = b11 + v.x * (b10 - v.y * b11);
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
    if (state.v[item * JACOBI_STATE_WORDS + JACOBI_FROZEN] != 0u)
        return;
    uint lane = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint m = order + (order & 1u);
    uint halves = m / 2u;

    // Index k of the pair is column k of block `first`, or k - block of block `second`.
    uint first = 0u, second = 0u;
    if (p.jobs.job[j].x_pair == 0u && block != 0u) {
        uvec2 met = jacobi_pair(pair, p.jobs.job[j].round, p.jobs.job[j].blocks);
        first = met.x * block;
        second = met.y * block - block;
    }
    uint x_at = item * p.jobs.job[j].x_item + pair * p.jobs.job[j].x_pair;
    uint x_stride = p.jobs.job[j].x_stride;
    for (uint i = lane; i < m * m; i += threads) {
        uint row = i / m;
        uint col = i - row * m;
        if (row <= col) {
            float value = 0.0;
            if (col < order) {
                uint from_row = row + (row < block ? first : second);
                uint from_col = col + (col < block ? first : second);
                value = x.v[x_at + from_row * x_stride + from_col];
            }
            a[row * (m + 1u) + col] = value;
        }
    }
    uint jt_at = group * m * m;
    if ((flags & SOLVE_CONTINUED) == 0u)
        for (uint r = lane; r < m; r += threads)
            for (uint k = 0u; k < m; ++k)
                jt.v[jt_at + k * m + r] = k == r ? 1.0 : 0.0;
    barrier();

    uint sweeps = p.jobs.job[j].sweeps;
    float tolerance = p.jobs.job[j].tolerance;
    float smallest = p.jobs.job[j].floor;
    bool relative = (flags & SOLVE_RELATIVE) != 0u;
    float partial = 0.0;
    uint blocks_of_a = halves * (halves - 1u) / 2u;
    for (uint sweep = 0u; sweep < sweeps; ++sweep) {
        float met = 0.0;
        for (uint round = 0u; round + 1u < m; ++round) {
            for (uint i = lane; i < halves; i += threads) {
                uvec2 pq = jacobi_pair(i, round, m);
                uint at_pp = at(pq.x, pq.x, m);
                uint at_qq = at(pq.y, pq.y, m);
                uint at_pq = at(pq.x, pq.y, m);
                float app = a[at_pp];
                float aqq = a[at_qq];
                float apq = a[at_pq];
                if (!relative)
                    met += apq * apq;
                else if (app > smallest && aqq > smallest)
                    met += (apq / app) * (apq / aqq);
                float t;
                vec2 s = rotation_of(app, aqq, apq, t);
                rotations[i] = vec4(s, float(pq.x), float(pq.y));
                a[at_pp] = app - t * apq;
                a[at_qq] = aqq + t * apq;
                a[at_pq] = t != 0.0 ? 0.0 : apq;
            }
            barrier();
            // Element blocks (row pair, column pair) above the diagonal: rows by one rotation, columns by the other.
            for (uint i0 = lane; i0 < blocks_of_a; i0 += 4u * threads)
                [[unroll]] for (uint n = 0u; n < 4u; ++n)
                    if (i0 + n * threads < blocks_of_a)
                        rotate_block(triangle_tile(i0 + n * threads, halves - 1u), m);
            for (uint i = 0u; i < halves; ++i) {
                vec4 u = rotations[i];
                uint at_p = jt_at + uint(u.z) * m;
                uint at_q = jt_at + uint(u.w) * m;
                for (uint r0 = lane; r0 < m; r0 += 4u * threads)
                    [[unroll]] for (uint n = 0u; n < 4u; ++n) {
                        uint r = r0 + n * threads;
                        if (r < m) {
                            float vp = jt.v[at_p + r];
                            float vq = jt.v[at_q + r];
                            jt.v[at_p + r] = vp - u.x * (vq + u.y * vp);
                            jt.v[at_q + r] = vq + u.x * (vp - u.y * vq);
                        }
                    }
            }
            barrier();
        }
        // The sum over the invocations, which each computes for itself in the same order.
        uint counted = min(threads, halves);
        if (lane < counted)
            rotations[lane].x = met;
        barrier();
        float sum = 0.0;
        for (uint i = 0u; i < counted; ++i)
            sum += rotations[i].x;
        barrier();
        if (sweep == 0u || (flags & SOLVE_LAST) != 0u)
            partial = sum;
        if (sum <= tolerance)
            break;
    }
    if (lane == 0u)
        partials.v[item * p.jobs.job[j].partial_item + p.jobs.job[j].partial_at + pair] = partial;

    if ((flags & SOLVE_KEEP) != 0u)
        for (uint i = lane; i < order * order; i += threads) {
            uint row = i / order;
            uint col = i - row * order;
            if (row <= col)
                x.v[x_at + row * x_stride + col] = a[row * (m + 1u) + col];
        }
    uint result_at = group * order * order;
    for (uint r = lane; r < order; r += threads)
        for (uint k = 0u; k < order; ++k)
            result.v[result_at + r * order + k] = jt.v[jt_at + k * m + r];
}
