// SPDX-License-Identifier: MIT
// D = alpha op(A) op(B) + beta C + diagonal I of matrices with two f32 words an element, for devices without f64: of each
// product of two elements the high words' exact value (T. J. Dekker, Numer. Math. 18, 1971) and those of a high and a low
// one, added up in two words, too (T. Ogita, S. M. Rump, S. Oishi, SIAM J. Sci. Comput. 26, 2005).
//
// A workgroup computes a tile of D, TWO_WORD_BLOCK rows of it for each row of invocations, in steps of STEP along k that
// all bring into shared memory first. Invocations beyond the edge multiply zeros.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/two_word_product.h"
#define JOB TwoWordProductJob
#include "core/kernel.glsl"
#include "core/double_float.glsl"
#include "linalg/active.glsl"

const uint BLOCK = TWO_WORD_BLOCK;
const uint STEP = 8;
const uint TILE_COLS = BLOCK * TWO_WORD_ACROSS;
// Odd, against bank conflicts.
const uint PITCH_A = BLOCK * TWO_WORD_THREADS / TWO_WORD_ACROSS + 1;
const uint PITCH_B = TILE_COLS + 1;

// [k of the step][row or column of the tile]: high word, low word.
shared vec2 tile_a[STEP * PITCH_A];
shared vec2 tile_b[STEP * PITCH_B];

// The high 12 bits of significands: products of two such numbers are exact, and what is left has 12 bits, too. (Cheaper
// than df_product_of()'s way for numbers that are split once and multiplied four times.)
vec4 far_halves(vec4 x) { return uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u); }

// Four neighbouring elements of D: the sum so far, and what adding up has lost of it. Written out for each row, not in a
// loop: when spirv-opt unrolls one it keeps `precise` for the first round alone.
void add_products(inout vec4 sum, inout vec4 lost, vec2 a, vec4 b, vec4 b_low, vec4 b_far, vec4 b_near) {
    precise float a_far = far_halves(a.xxxx).x;
    precise float a_near = a.x - a_far;
    precise vec4 product = a.x * b;
    precise vec4 rest = ((a_far * b_far - product) + a_far * b_near + a_near * b_far) + a_near * b_near;
    precise vec4 mixed = a.x * b_low + a.y * b;
    precise vec4 total = sum + product;
    precise vec4 part = total - sum;
    precise vec4 rounded = (sum - (total - part)) + (product - part);
    precise vec4 less = lost + (rounded + (rest + mixed));
    sum = total;
    lost = less;
}

// An element of D and, of a symmetric D, its mirror image.
void store(uint j, uint item, uint row, uint col, float sum, float lost) {
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint flags = p.jobs.job[j].flags;
    bool symmetric = (flags & TWO_WORD_SYMMETRIC) != 0;
    if (row >= m || col >= n || symmetric && row > col)
        return;
    vec2 value = df_multiply(df_sum_of(sum, lost), vec2(p.jobs.job[j].alpha, p.jobs.job[j].alpha_low));
    if ((flags & TWO_WORD_ADDS) != 0) {
        F32 c = p.jobs.job[j].c;
        uint at = 2 * item * m * n + row * n + col;
        vec2 beta = vec2(p.jobs.job[j].beta, p.jobs.job[j].beta_low);
        value = df_add(value, df_multiply(vec2(c.v[at], c.v[at + m * n]), beta));
    }
    if (row == col)
        value = df_add(value, vec2(p.jobs.job[j].diagonal, p.jobs.job[j].diagonal_low));
    F32 d = p.jobs.job[j].d;
    uint stride = p.jobs.job[j].d_stride;
    uint first = item * p.jobs.job[j].d_item;
    uint at = first + row * stride + col;
    uint mirrored = symmetric ? first + col * stride + row : at;
    d.v[at] = value.x;
    d.v[mirrored] = value.x;
    if ((flags & TWO_WORD_ROUNDED) != 0)
        return;
    d.v[at + m * n] = value.y;
    d.v[mirrored + m * n] = value.y;
}

void store_four(uint j, uint item, uint row, uint col, vec4 sum, vec4 lost) {
    store(j, item, row, col, sum.x, lost.x);
    store(j, item, row, col + 1, sum.y, lost.y);
    store(j, item, row, col + 2, sum.z, lost.z);
    store(j, item, row, col + 3, sum.w, lost.w);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 a = p.jobs.job[j].a;
    F32 b = p.jobs.job[j].b;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint k_count = p.jobs.job[j].k;
    uint groups = p.jobs.job[j].groups;
    uint flags = p.jobs.job[j].flags;
    bool transpose_a = (flags & TWO_WORD_TRANSPOSE_A) != 0;
    bool transpose_b = (flags & TWO_WORD_TRANSPOSE_B) != 0;
    uint item = group / groups;
    if (is_inactive(j, item, TWO_WORD_ACTIVE))
        return;
    uint tile_rows = BLOCK * (gl_WorkGroupSize.x / TWO_WORD_ACROSS);
    uint tiles_across = (n + TILE_COLS - 1) / TILE_COLS;
    uint tile = group - item * groups;
    uint row0 = tile / tiles_across * tile_rows;
    uint col0 = tile % tiles_across * TILE_COLS;
    if ((flags & TWO_WORD_SYMMETRIC) != 0 && row0 >= col0 + TILE_COLS)
        return; // below the diagonal
    uint a_first = 2 * item * m * k_count;
    uint b_first = 2 * item * k_count * n;
    uint t = gl_LocalInvocationID.x;
    uint y = t / TWO_WORD_ACROSS * BLOCK;
    uint x = t % TWO_WORD_ACROSS * BLOCK;

    vec4 sum0 = vec4(0.0), sum1 = vec4(0.0), sum2 = vec4(0.0), sum3 = vec4(0.0);
    vec4 lost0 = vec4(0.0), lost1 = vec4(0.0), lost2 = vec4(0.0), lost3 = vec4(0.0);
    for (uint k0 = 0; k0 < k_count; k0 += STEP) {
        barrier(); // the step before has been multiplied by all
        // Neighbouring invocations load neighbours in memory.
        for (uint e = t; e < STEP * tile_rows; e += gl_WorkGroupSize.x) {
            uint down = transpose_a ? e % tile_rows : e / STEP;
            uint along = transpose_a ? e / tile_rows : e % STEP;
            uint row = min(row0 + down, m - 1);
            uint k = min(k0 + along, k_count - 1);
            uint at = a_first + (transpose_a ? k * m + row : row * k_count + k);
            vec2 value = vec2(a.v[at], a.v[at + m * k_count]);
            tile_a[along * PITCH_A + down] = row0 + down < m && k0 + along < k_count ? value : vec2(0.0);
        }
        for (uint e = t; e < STEP * TILE_COLS; e += gl_WorkGroupSize.x) {
            uint along = transpose_b ? e % STEP : e / TILE_COLS;
            uint right = transpose_b ? e / STEP : e % TILE_COLS;
            uint k = min(k0 + along, k_count - 1);
            uint col = min(col0 + right, n - 1);
            uint at = b_first + (transpose_b ? col * k_count + k : k * n + col);
            vec2 value = vec2(b.v[at], b.v[at + k_count * n]);
            tile_b[along * PITCH_B + right] = k0 + along < k_count && col0 + right < n ? value : vec2(0.0);
        }
        barrier();
        [[dont_unroll]] for (uint k = 0; k < STEP; ++k) {
            uint a_at = k * PITCH_A + y;
            uint b_at = k * PITCH_B + x;
            vec2 b0 = tile_b[b_at], b1 = tile_b[b_at + 1], b2 = tile_b[b_at + 2], b3 = tile_b[b_at + 3];
            vec4 b_high = vec4(b0.x, b1.x, b2.x, b3.x);
            vec4 b_low = vec4(b0.y, b1.y, b2.y, b3.y);
            vec4 b_far = far_halves(b_high);
            precise vec4 b_near = b_high - b_far;
            add_products(sum0, lost0, tile_a[a_at], b_high, b_low, b_far, b_near);
            add_products(sum1, lost1, tile_a[a_at + 1], b_high, b_low, b_far, b_near);
            add_products(sum2, lost2, tile_a[a_at + 2], b_high, b_low, b_far, b_near);
            add_products(sum3, lost3, tile_a[a_at + 3], b_high, b_low, b_far, b_near);
        }
    }

    store_four(j, item, row0 + y, col0 + x, sum0, lost0);
    store_four(j, item, row0 + y + 1, col0 + x, sum1, lost1);
    store_four(j, item, row0 + y + 2, col0 + x, sum2, lost2);
    store_four(j, item, row0 + y + 3, col0 + x, sum3, lost3);
}
