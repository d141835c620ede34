// SPDX-License-Identifier: MIT
// GEMM on matrix units: D = alpha op(A) op(B) + beta C, 16-bit A and B, f32 sums, many jobs in one dispatch.
//
// A workgroup of 2 x BLOCKS subgroups computes a tile of ROWS x COLS elements of D, each subgroup BLOCKS x 2 cooperative
// matrices of M x N sums of it: few enough that two workgroups of large tiles share the registers of an NVIDIA SM. Both
// operands lie in shared memory with k innermost (what matrix units read fastest), op(A) as ROWS x STEP and op(B)^T as
// COLS x STEP; an operand that has k outermost in memory is transposed on the way. The next piece of k is on its way
// from global memory into registers while the present one is multiplied.
//
//   pool:  op(A)  row 0      | 32 halves | pad |        later the same memory, a part for each subgroup:
//                 row 1      | 32 halves | pad |        row 0    | 2 N sums | pad |
//                 ...                                   ...                        M rows
//          op(B)^T column 0  | 32 halves | pad |
//
// Rows are padded to 80 bytes: eight of them, read 16 bytes at a time, touch every bank of shared memory once. Rows of
// sums are padded by 16 bytes, for reading down a column.
//
// Macros: BLOCKS; AB_BF16 for bf16 operands (f16 otherwise); MATRICES_EMULATED (matrix_units.glsl). Needs
// VK_KHR_cooperative_matrix with M x N x K operands of that type and f32 sums at subgroup scope (for bf16,
// VK_KHR_shader_bfloat16, too), K a divisor of 32, and subgroups of exactly SUBGROUP invocations; SPEC_THREADS must be
// 2 BLOCKS times that.
// Shared memory: 2 BLOCKS 16 max(5 (M + N), M (N / 2 + 1)) bytes.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_buffer_reference_uvec2 : require
#if !defined(MATRICES_EMULATED)
#if defined(AB_BF16)
#extension GL_EXT_bfloat16 : require
#else
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif
#extension GL_KHR_cooperative_matrix : require
#endif
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "linalg/gemm.h"
#define JOB GemmJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/active.glsl"
#include "linalg/gemm_coopmat.glsl"

layout(constant_id = SPEC_SUBGROUP) const uint SUBGROUP = 32;
layout(constant_id = SPEC_MATRIX_M) const uint M = 16;
layout(constant_id = SPEC_MATRIX_N) const uint N = 16;
layout(constant_id = SPEC_MATRIX_K) const uint K = 16;

const uint STEP = 32;              // of k
const uint THREADS = 2 * BLOCKS * SUBGROUP;
const uint ROWS = 2 * BLOCKS * M;
const uint COLS = BLOCKS * 2 * N;
const uint PITCH = STEP / 8 + 1; // in units of eight halves
const uint WIDE = N / 2;         // a subgroup's row of sums, in fours
const uint SUMS_PITCH = WIDE + 1;

const uint OPERANDS = (ROWS + COLS) * PITCH;
const uint PARTS = 2 * BLOCKS * M * SUMS_PITCH;
shared uvec4 pool[OPERANDS > PARTS ? OPERANDS : PARTS];
const uint POOL_B = ROWS * PITCH;

#if defined(AB_BF16)
#define MATRIX_TYPE bfloat16_t
#else
#define MATRIX_TYPE float16_t
#endif
#define MATRIX_SCOPE gl_ScopeSubgroup
#define MATRIX_LANES SUBGROUP
#define MATRIX_LANE gl_SubgroupInvocationID
#define MATRIX_M M
#define MATRIX_N N
#define MATRIX_K K
#include "linalg/matrix_units.glsl"

// A unit is what an invocation brings into shared memory at once: eight elements along k of two neighbouring rows of an
// operand (columns of op(B)). Neighbouring invocations read neighbouring memory, whichever way the operand lies.
const uint UNITS_A = (ROWS * STEP / 16 + THREADS - 1) / THREADS;
const uint UNITS_B = (COLS * STEP / 16 + THREADS - 1) / THREADS;

// First row and first k of a unit.
uvec2 unit_place(Source s, uint unit, uint tile_rows) {
    return s.k_stride == 1 ? uvec2(unit / (STEP / 8) * 2, unit % (STEP / 8) * 8)
                           : uvec2(unit % (tile_rows / 2) * 2, unit / (tile_rows / 2) * 8);
}

void put(uint begin, uvec2 place, uvec4 first, uvec4 second) {
    uint at = begin + place.x * PITCH + place.y / 8;
    pool[at] = first;
    pool[at + PITCH] = second;
}

// All invocations of the subgroup have written their part of the pool, and may read that of the others.
void exchange() {
    controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared, gl_SemanticsAcquireRelease);
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
        uint high = COLS / ROWS; // square pieces as wide as a tile
        uvec2 square = triangle_tile(t / high, p.jobs.job[j].tiles_n);
        tile = uvec2(square.x * high + t % high, square.y);
    } else {
        tile = band_tile(t, p.jobs.job[j].tiles_m, p.jobs.job[j].tiles_n);
    }
    uint row0 = tile.x * ROWS;
    uint col0 = tile.y * COLS;
    if (row0 >= m)
        return; // the last square of a symmetric result

    uint a_row = p.jobs.job[j].a_row;
    uint b_col = p.jobs.job[j].b_col;
    uint a_first = item * p.jobs.job[j].a_batch + row0 * a_row;
    uint b_first = item * p.jobs.job[j].b_batch + col0 * b_col;
    Source from_a = source_of(a, a_first, m - row0, k_count, a_row, p.jobs.job[j].a_col);
    Source from_b = source_of(b, b_first, n - col0, k_count, b_col, p.jobs.job[j].b_row);

    uint thread = gl_LocalInvocationID.x;
    uint wave_row = gl_SubgroupID / BLOCKS * BLOCKS * M;
    uint wave_col = gl_SubgroupID % BLOCKS * 2 * N;

    Sums acc[BLOCKS][2];
    [[unroll]] for (uint r = 0; r < BLOCKS; ++r)
        [[unroll]] for (uint s = 0; s < 2; ++s)
            acc[r][s] = zero_sums();

    uvec4 next_a[UNITS_A][2];
    uvec4 next_b[UNITS_B][2];
    for (uint k0 = 0; k0 < k_count + STEP; k0 += STEP) {
        // The first round only loads, the last one only multiplies.
        if (k0 > 0) {
            barrier(); // the piece before has been multiplied by all
            [[unroll]] for (uint q = 0; q < UNITS_A; ++q)
                if (thread + q * THREADS < ROWS * STEP / 16)
                    put(0, unit_place(from_a, thread + q * THREADS, ROWS), next_a[q][0], next_a[q][1]);
            [[unroll]] for (uint q = 0; q < UNITS_B; ++q)
                if (thread + q * THREADS < COLS * STEP / 16)
                    put(POOL_B, unit_place(from_b, thread + q * THREADS, COLS), next_b[q][0], next_b[q][1]);
            barrier();
        }
        if (k0 < k_count) {
            [[unroll]] for (uint q = 0; q < UNITS_A; ++q) {
                uvec2 place = unit_place(from_a, thread + q * THREADS, ROWS);
                if (thread + q * THREADS < ROWS * STEP / 16)
                    fetch(a, U32x4(a), from_a, place.x, k0 + place.y, next_a[q][0], next_a[q][1]);
            }
            [[unroll]] for (uint q = 0; q < UNITS_B; ++q) {
                uvec2 place = unit_place(from_b, thread + q * THREADS, COLS);
                if (thread + q * THREADS < COLS * STEP / 16)
                    fetch(b, U32x4(b), from_b, place.x, k0 + place.y, next_b[q][0], next_b[q][1]);
            }
        }
        if (k0 > 0) {
            // Not forced to unroll: lavapipe would compile ten times as long, for slower code.
            for (uint k = 0; k < STEP; k += K) {
                MatrixA a_now[BLOCKS];
                [[unroll]] for (uint r = 0; r < BLOCKS; ++r)
                    load_a(a_now[r], (wave_row + r * M) * PITCH + k / 8, PITCH);
                [[unroll]] for (uint s = 0; s < 2; ++s) {
                    MatrixB b_now;
                    load_b(b_now, POOL_B + (wave_col + s * N) * PITCH + k / 8, PITCH);
                    [[unroll]] for (uint r = 0; r < BLOCKS; ++r)
                        acc[r][s] = multiply_add(a_now[r], b_now, acc[r][s]);
                }
            }
        }
    }
    barrier(); // all have multiplied; the pool is free

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
    uint lane = gl_SubgroupInvocationID;
    row0 += wave_row;
    col0 += wave_col;

    // A row of matrices at a time goes through the subgroup's part of the pool, so that whole rows of D are stored,
    // four elements by an invocation. The matrices are rotated: unrolled, this would be most of the code.
    uint part = gl_SubgroupID * M * SUMS_PITCH;
    [[dont_unroll]] for (uint block = 0; block < BLOCKS; ++block) {
        [[unroll]] for (uint s = 0; s < 2; ++s)
            store_sums(acc[0][s], part + s * N / 4, SUMS_PITCH);
        exchange();
        uint top = row0 + block * M;
        [[dont_unroll]] for (uint e = lane; e < M * WIDE; e += SUBGROUP) {
            uint at = part + e / WIDE * SUMS_PITCH + e % WIDE;
            uint row = top + e / WIDE;
            uint col = col0 + e % WIDE * 4;
            vec4 value = alpha * uintBitsToFloat(pool[at]);
            // Of a symmetric result, what lies below the diagonal comes from above it.
            bvec4 keep;
            [[unroll]] for (uint q = 0; q < 4; ++q)
                keep[q] = row < m && col + q < n && !(symmetric && col + q < row);
            if (has_c) {
                [[unroll]] for (uint q = 0; q < 4; ++q)
                    value[q] += beta * load(c, c_item + (keep[q] ? row * c_row + col + q : 0), DTYPE_C);
            }
            store_four(d, d_item + row * d_row + col, value, keep, pairs);
            pool[at] = floatBitsToUint(mix(vec4(0.0), value, keep)); // outside of D an infinity may have made NaNs
        }
        exchange();
        if ((FLAGS & PRODUCT_SQUARES) != 0) {
            F32 squares = p.jobs.job[j].squares;
            uint parts = (n + 2 * N - 1) / (2 * N);
            for (uint r = lane; r < M; r += SUBGROUP) {
                float sum = 0.0;
                [[dont_unroll]] for (uint q = 0; q < WIDE; ++q) {
                    vec4 value = uintBitsToFloat(pool[part + r * SUMS_PITCH + q]);
                    sum += dot(value, value);
                }
                if (top + r < m && col0 < n)
                    squares.v[(item * m + top + r) * parts + col0 / (2 * N)] = sum;
            }
        }
        if (symmetric) {
            // The finished elements again, down the columns: rows of D below the diagonal.
            [[dont_unroll]] for (uint e = lane; e < 2 * N * M / 4; e += SUBGROUP) {
                uint down = e / (M / 4);
                uint across = e % (M / 4) * 4;
                uint row = col0 + down;
                uint col = top + across;
                vec4 value;
                bvec4 keep;
                [[unroll]] for (uint q = 0; q < 4; ++q) {
                    value[q] = uintBitsToFloat(pool[part + (across + q) * SUMS_PITCH + down / 4][down % 4]);
                    keep[q] = row < n && col + q < row;
                }
                store_four(d, d_item + row * d_row + col, value, keep, pairs);
            }
        }
        [[unroll]] for (uint s = 0; s < 2; ++s)
            [[unroll]] for (uint r = 0; r + 1 < BLOCKS; ++r)
                acc[r][s] = acc[r + 1][s];
        exchange();
    }
}
