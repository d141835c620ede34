// SPDX-License-Identifier: MIT
// GEMM on matrix units by matrices of a whole workgroup: D = alpha op(A) op(B) + beta C, f16 A and B, f32 sums, many
// jobs in one dispatch.
//
// A workgroup computes a tile of ROWS x COLS elements of D as one cooperative matrix, STEP of k at a time. How its
// subgroups divide the work, and how elements of the operands get to them, is the driver's business.
//
//   operands:  from memory through tensor layouts, whose inner dimension is the one with stride 1, and which put zeros
//              beyond the edges. They must begin at a multiple of 16 bytes. Where A or B of an item does not, both go
//              by way of the pool, k innermost: op(A) as ROWS x STEP, then op(B)^T as COLS x STEP.
//   results:   the sums go to the pool, ROWS x COLS, where alpha, beta C and the edges are seen to.
//
// No device with such matrices has run this yet: it is compiled, validated, run with matrices that are emulated (by a
// test), and chosen by name only (src/linalg/gemm_kernels.cpp).
//
// Needs VK_NV_cooperative_matrix2 with workgroup scope, flexible dimensions whose granularities divide ROWS, COLS and
// STEP, and tensor addressing; workgroups of WORKGROUP_THREADS. Shared memory: 4 ROWS COLS bytes, and what the driver
// reserves.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_buffer_reference_uvec2 : require
#if !defined(MATRICES_EMULATED)
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_NV_cooperative_matrix2 : require
#endif
#include "linalg/gemm.h"
#define JOB GemmJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/active.glsl"
#include "linalg/gemm_coopmat.glsl"

const uint ROWS = WORKGROUP_ROWS;
const uint COLS = WORKGROUP_COLS;
const uint STEP = WORKGROUP_STEP;
const uint STEP_UNITS = STEP / 8; // eight halves, or four sums, are a unit
const uint WIDE = COLS / 4;
const uint POOL_B = ROWS * STEP_UNITS;

shared uvec4 pool[ROWS * WIDE]; // more than the (ROWS + COLS) STEP_UNITS of operands

#define MATRIX_TYPE float16_t
#define MATRIX_SCOPE gl_ScopeWorkgroup
#define MATRIX_LANES WORKGROUP_THREADS
#define MATRIX_LANE gl_LocalInvocationID.x
#define MATRIX_M ROWS
#define MATRIX_N COLS
#define MATRIX_K STEP
#define MATRIX_TENSORS
#include "linalg/matrix_units.glsl"

// STEP columns of a tile's rows of an operand into the pool.
void stage(U32 x, Source s, uint begin, uint tile_rows, uint k0) {
    for (uint i = gl_LocalInvocationID.x; i < tile_rows * STEP / 16; i += WORKGROUP_THREADS) {
        uint row = i / STEP_UNITS * 2;
        uint unit = i % STEP_UNITS;
        uvec4 first, second;
        fetch(x, U32x4(x), s, row, k0 + 8 * unit, first, second);
        uint at = begin + row * STEP_UNITS + unit;
        pool[at] = first;
        pool[at + STEP_UNITS] = second;
    }
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;

    U32 a = p.jobs.job[j].a;
    U32 b = p.jobs.job[j].b;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint k_count = p.jobs.job[j].k;
    uint flags = p.jobs.job[j].flags;
    uint tiles = p.jobs.job[j].tiles;
    bool symmetric = (flags & GEMM_SYMMETRIC) != 0;

    uint item = group / tiles;
    if (is_inactive(j, item, GEMM_ACTIVE))
        return;
    uint t = group - item * tiles;
    uvec2 tile;
    if (symmetric) {
        const uint HIGH = COLS / ROWS; // square pieces as wide as a tile
        uvec2 square = triangle_tile(t / HIGH, p.jobs.job[j].tiles_n);
        tile = uvec2(square.x * HIGH + t % HIGH, square.y);
    } else {
        tile = band_tile(t, p.jobs.job[j].tiles_m, p.jobs.job[j].tiles_n);
    }
    uint row0 = tile.x * ROWS;
    uint col0 = tile.y * COLS;
    if (row0 >= m)
        return; // the last square of a symmetric result

    uint a_row = p.jobs.job[j].a_row;
    uint a_col = p.jobs.job[j].a_col;
    uint b_row = p.jobs.job[j].b_row;
    uint b_col = p.jobs.job[j].b_col;
    uint a_item = item * p.jobs.job[j].a_batch;
    uint b_item = item * p.jobs.job[j].b_batch;
    bool aligned = ((a_item | b_item) & 7) == 0 && ((uvec2(a).x | uvec2(b).x) & 15) == 0;
    Source from_a = source_of(a, a_item + row0 * a_row, m - row0, k_count, a_row, a_col);
    Source from_b = source_of(b, b_item + col0 * b_col, n - col0, k_count, b_col, b_row);

    // A lies in memory as m x k or k x m, B as k x n or n x k. A stride of a single row may be below its length.
    bool a_turned = a_col != 1;
    uvec2 a_extents = a_turned ? uvec2(k_count, m) : uvec2(m, k_count);
    Layout a_layout = make_layout(a_extents, max(a_turned ? a_col : a_row, a_extents.y));
    bool b_turned = b_col != 1;
    uvec2 b_extents = b_turned ? uvec2(n, k_count) : uvec2(k_count, n);
    Layout b_layout = make_layout(b_extents, max(b_turned ? b_col : b_row, b_extents.y));
    Halves a_halves = Halves(a);
    Halves b_halves = Halves(b);

    Sums sums = zero_sums();
    for (uint k0 = 0; k0 < k_count; k0 += STEP) {
        MatrixA a_now;
        MatrixB b_now;
        if (aligned) {
            if (a_turned)
                load_turned(a_now, a_halves, a_item, slice(a_layout, k0, STEP, row0, ROWS));
            else
                load_tensor(a_now, a_halves, a_item, slice(a_layout, row0, ROWS, k0, STEP));
            if (b_turned)
                load_turned(b_now, b_halves, b_item, slice(b_layout, col0, COLS, k0, STEP));
            else
                load_tensor(b_now, b_halves, b_item, slice(b_layout, k0, STEP, col0, COLS));
        } else {
            barrier(); // the piece before has been loaded by all
            stage(a, from_a, 0, ROWS, k0);
            stage(b, from_b, POOL_B, COLS, k0);
            barrier();
            load_a(a_now, 0, STEP_UNITS);
            load_b(b_now, POOL_B, STEP_UNITS);
        }
        sums = multiply_add(a_now, b_now, sums);
    }
    barrier(); // the pool is free
    store_sums(sums, 0, WIDE);
    barrier();

    U32 c = p.jobs.job[j].c;
    U32 d = p.jobs.job[j].d;
    float alpha = p.jobs.job[j].alpha;
    float beta = p.jobs.job[j].beta;
    uint c_item = item * p.jobs.job[j].c_batch;
    uint d_item = item * p.jobs.job[j].d_batch;
    uint c_row = p.jobs.job[j].c_row;
    uint d_row = p.jobs.job[j].d_row;
    bool has_c = (flags & GEMM_HAS_C) != 0;
    bool pairs = (flags & GEMM_D_PAIRS) != 0;
    uint thread = gl_LocalInvocationID.x;

    [[dont_unroll]] for (uint e = thread; e < ROWS * WIDE; e += WORKGROUP_THREADS) {
        uint row = row0 + e / WIDE;
        uint col = col0 + e % WIDE * 4;
        vec4 value = alpha * uintBitsToFloat(pool[e]);
        // Of a symmetric result, what lies below the diagonal comes from above it.
        bvec4 keep;
        [[unroll]] for (uint q = 0; q < 4; ++q) {
            keep[q] = row < m && col + q < n && !(symmetric && col + q < row);
            if (has_c && keep[q])
                value[q] += beta * load(c, c_item + row * c_row + col + q, DTYPE_C);
        }
        store_four(d, d_item + row * d_row + col, value, keep, pairs);
        pool[e] = floatBitsToUint(mix(vec4(0.0), value, keep)); // outside of D an infinity may have made NaNs
    }
    barrier();
    if ((FLAGS & PRODUCT_SQUARES) != 0) {
        F32 squares = p.jobs.job[j].squares;
        for (uint r = thread; r < ROWS; r += WORKGROUP_THREADS) {
            float sum = 0.0;
            [[dont_unroll]] for (uint q = 0; q < WIDE; ++q) {
                vec4 value = uintBitsToFloat(pool[r * WIDE + q]);
                sum += dot(value, value);
            }
            if (row0 + r < m)
                squares.v[(item * m + row0 + r) * p.jobs.job[j].tiles_n + tile.y] = sum;
        }
    }
    if (!symmetric)
        return;

    // The finished elements again, transposed: a column of the tile becomes a part of a row of D below the diagonal.
    const uint HIGH_UNITS = ROWS / 4;
    [[dont_unroll]] for (uint e = thread; e < COLS * HIGH_UNITS; e += WORKGROUP_THREADS) {
        uint row = col0 + e / HIGH_UNITS;
        uint first = e % HIGH_UNITS * 4; // row of the tile
        uint col = row0 + first;
        vec4 value;
        bvec4 keep;
        [[unroll]] for (uint q = 0; q < 4; ++q) {
            value[q] = uintBitsToFloat(pool[(first + q) * WIDE + (row - col0) / 4][(row - col0) % 4]);
            keep[q] = row < n && col + q < row;
        }
        store_four(d, d_item + row * d_row + col, value, keep, pairs);
    }
}
