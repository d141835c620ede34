// SPDX-License-Identifier: MIT
// GEMM for CPU drivers from panels (linalg/gemm.h): D = alpha A B + beta C, many jobs in one dispatch.
//
// A workgroup is one subgroup of L invocations and computes a square of 6 L x 6 L elements of D, PANEL_ROWS x
// (PANEL_COLS L) at a time, of which each invocation has PANEL_ROWS x PANEL_COLS sums in registers. Rules of the inner
// loop, all of them from the code that lavapipe 26.1 makes (LLVM 19): it loads once what is at a uniform address, and
// its broadcast is free inside of the multiplication; constant offsets from one address cost nothing; eight uniform
// loads of neighbouring words, each chosen by one constant invocation, become one vector load, where a load that
// differs by invocation is a gather of thirteen cycles; the sums are blended with the old ones once an iteration, so it
// holds PANEL_STEP k. (Two Zen 4 cores,
// 512 x 512 x 512, panels given: 141 GFLOP/s; gathers instead: 61; 24 rows and 1 column: 122; 14 x 2: 133; 8 x 3: 131;
// steps of 8 and 32: 119 and 134. OpenBLAS 200.)
//
// Rows of A that are k need no panels (PRODUCT_ROWS): uniform loads may be anywhere, and a step of a row is a cache line.
// (Two Zen 5 cores, 512 x 512 x 512, whole product: 3.9 ms for 4.3, X X^T 2.2 for 2.7; larger ones gain nothing.)
//
// What a loop loads lies within the panels for every value of its counter: lavapipe runs a loop once more than needed,
// with nobody active, and does its uniform loads. Needs full subgroups of SPEC_SUBGROUP invocations, 8 or 16.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#include "linalg/gemm.h"
#define JOB GemmJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/active.glsl"

layout(constant_id = SPEC_DTYPE_C) const uint DTYPE_C = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32;
layout(constant_id = SPEC_FLAGS) const uint FLAGS = 0;
layout(constant_id = SPEC_SUBGROUP) const uint LANES = 8;
const bool ROWS = (FLAGS & PRODUCT_ROWS) != 0u;

// One step of a panel of A, or of one of its rows, and eight invocations' worth of a step of B: structs, so that what is
// added to their address is a constant.
struct StepA {
    float v[PANEL_STEP * PANEL_ROWS];
};
struct RowStep {
    float v[PANEL_STEP];
};
const uint PART = PANEL_STEP * PANEL_COLS * 8;
struct PartB {
    float v[PART];
};
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer PanelsA { StepA step[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer RowsA { RowStep step[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer PanelsB { PartB part[]; };

shared vec2 results[PANEL_ROWS * LANES];

// Two neighbouring sums of a row go into D. Returns the sum of their squares.
float finish(uint j, uint item, uint row, uint col, vec2 sums) {
    U32 d = p.jobs.job[j].d;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    const bool symmetric = (FLAGS & PRODUCT_SYMMETRIC) != 0;
    // Of a symmetric result, what lies below the diagonal comes from above it.
    bool keep0 = row < m && col < n && !(symmetric && col < row);
    bool keep1 = row < m && col + 1 < n && !(symmetric && col + 1 < row);
    vec2 value = p.jobs.job[j].alpha * sums;
    if ((FLAGS & PRODUCT_C) != 0) {
        U32 c = p.jobs.job[j].c;
        uint at = item * p.jobs.job[j].c_batch + row * p.jobs.job[j].c_row + col;
        float beta = p.jobs.job[j].beta;
        if (keep0)
            value.x += beta * load(c, at, DTYPE_C);
        if (keep1)
            value.y += beta * load(c, at + 1, DTYPE_C);
    }
    uvec2 bits = uvec2(to_bits(value.x, DTYPE_D), to_bits(value.y, DTYPE_D));
    uint d_item = item * p.jobs.job[j].d_batch;
    uint d_row = p.jobs.job[j].d_row;
    store_two(d, d_item + row * d_row + col, bits, keep0, keep1, (p.jobs.job[j].flags & GEMM_D_PAIRS) != 0, DTYPE_D);
    if (symmetric && (FLAGS & PRODUCT_UPPER) == 0) {
        uint below = d_item + col * d_row + row;
        if (keep0 && col != row)
            store_bits(d, below, bits.x, DTYPE_D);
        if (keep1 && col + 1 != row)
            store_bits(d, below + d_row, bits.y, DTYPE_D);
    }
    return (keep0 ? value.x * value.x : 0.0) + (keep1 ? value.y * value.y : 0.0);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;

    PanelsA a = PanelsA(p.jobs.job[j].a);
    RowsA rows = RowsA(p.jobs.job[j].a);
    PanelsB b = PanelsB(p.jobs.job[j].b);
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint steps = p.jobs.job[j].k / PANEL_STEP;
    uint tiles = p.jobs.job[j].tiles;
    const bool symmetric = (FLAGS & PRODUCT_SYMMETRIC) != 0;

    uint item = group / tiles;
    if (is_inactive(j, item, GEMM_ACTIVE))
        return;
    uint t = group - item * tiles;
    uvec2 tile = symmetric ? triangle_tile(t, p.jobs.job[j].tiles_n)
                           : band_tile(t, p.jobs.job[j].tiles_m, p.jobs.job[j].tiles_n);
    uint a_item = item * p.jobs.job[j].a_batch;
    uint b_item = item * p.jobs.job[j].b_batch;

    const uint width = PANEL_COLS * LANES;
    const uint side = 6 * LANES;
    uint row_panels = (m + PANEL_ROWS - 1) / PANEL_ROWS;
    uint col_panels = (n + width - 1) / width;
    uint first_row = tile.x * (side / PANEL_ROWS);
    uint first_col = tile.y * (side / width);
    uint end_col = min(first_col + side / width, col_panels);
    uint lane = gl_SubgroupInvocationID; // a constant to lavapipe, other than gl_LocalInvocationID

    for (uint col_panel = first_col; col_panel < end_col; ++col_panel) {
        uint b_step = b_item + min(col_panel, col_panels - 1) * p.jobs.job[j].b_row;
        uint col = (col_panel * LANES + lane) * PANEL_COLS;
        uint end_row = min(first_row + side / PANEL_ROWS, row_panels);
        if (symmetric) // no panels of which nothing lies on or above the diagonal
            end_row = min(end_row, (min((col_panel + 1) * width, n) + PANEL_ROWS - 1) / PANEL_ROWS);
        for (uint row_panel = first_row; row_panel < end_row; ++row_panel) {
            uint a_step = a_item + min(row_panel, row_panels - 1) * p.jobs.job[j].a_row;
            uint row_step[PANEL_ROWS]; // beyond the last row that one again: nothing of it is kept
            [[unroll]] for (uint r = 0; r < PANEL_ROWS; ++r)
                row_step[r] = a_item + min(row_panel * PANEL_ROWS + r, m - 1) * p.jobs.job[j].a_row;

            float total[PANEL_ROWS][PANEL_COLS];
            [[unroll]] for (uint r = 0; r < PANEL_ROWS; ++r)
                [[unroll]] for (uint s = 0; s < PANEL_COLS; ++s)
                    total[r][s] = 0.0;
            for (uint piece = 0; piece < steps; piece += SUM_PIECE / PANEL_STEP) {
                float acc[PANEL_ROWS][PANEL_COLS];
                [[unroll]] for (uint r = 0; r < PANEL_ROWS; ++r)
                    [[unroll]] for (uint s = 0; s < PANEL_COLS; ++s)
                        acc[r][s] = 0.0;
                uint piece_end = min(piece + SUM_PIECE / PANEL_STEP, steps);
                for (uint i = piece; i < piece_end; ++i) {
                    uint now = min(i, steps - 1);
                    uint a_now = a_step + now;
                    uint b_now = (b_step + now) * (LANES / 8);
                    [[unroll]] for (uint k = 0; k < PANEL_STEP; ++k) {
                        float y[PANEL_COLS];
                        [[unroll]] for (uint s = 0; s < PANEL_COLS; ++s) {
                            uint at = (k * PANEL_COLS + s) * LANES;
                            y[s] = b.part[b_now + at / PART].v[at % PART];
                            // Not up to LANES: loops that the driver unrolls come out in another order.
                            [[unroll]] for (uint l = 1; l < 16; ++l)
                                if (l < LANES)
                                    y[s] = mix(y[s], b.part[b_now + (at + l) / PART].v[(at + l) % PART], lane == l);
                        }
                        [[unroll]] for (uint r = 0; r < PANEL_ROWS; ++r) {
                            float x = ROWS ? rows.step[row_step[r] + now].v[k] : a.step[a_now].v[k * PANEL_ROWS + r];
                            [[unroll]] for (uint s = 0; s < PANEL_COLS; ++s)
                                acc[r][s] += x * y[s];
                        }
                    }
                }
                [[unroll]] for (uint r = 0; r < PANEL_ROWS; ++r)
                    [[unroll]] for (uint s = 0; s < PANEL_COLS; ++s)
                        total[r][s] += acc[r][s];
            }

            // Through memory where D has 16 bits, each invocation what it wrote itself: unrolled, what it takes to
            // round and to share words compiles for seconds.
            [[unroll]] for (uint r = 0; r < PANEL_ROWS; ++r) {
                vec2 sums = vec2(total[r][0], total[r][1]);
                if (DTYPE_D == DTYPE_F32 && (FLAGS & PRODUCT_SQUARES) == 0)
                    finish(j, item, row_panel * PANEL_ROWS + r, col, sums);
                else
                    results[r * LANES + lane] = sums;
            }
            if (DTYPE_D != DTYPE_F32 || (FLAGS & PRODUCT_SQUARES) != 0)
                for (uint r = 0; r < PANEL_ROWS; ++r)
                    results[r * LANES + lane].x = finish(j, item, row_panel * PANEL_ROWS + r, col, results[r * LANES + lane]);
            if ((FLAGS & PRODUCT_SQUARES) != 0) {
                barrier();
                F32 squares = p.jobs.job[j].squares;
                for (uint r = lane; r < PANEL_ROWS; r += LANES) {
                    float sum = 0.0;
                    for (uint l = 0; l < LANES; ++l)
                        sum += results[min(r, PANEL_ROWS - 1) * LANES + l].x;
                    uint row = row_panel * PANEL_ROWS + r;
                    if (row < m)
                        squares.v[(item * m + row) * col_panels + col_panel] = sum;
                }
                barrier();
            }
        }
    }
}
