// SPDX-License-Identifier: MIT
// D = A B of matrices with two f32 words an element, for devices without f64: of each product of two elements the high
// words' exact value (T. J. Dekker, Numer. Math. 18, 1971) and those of a high and a low one, added up in two words, too
// (T. Ogita, S. M. Rump, S. Oishi, SIAM J. Sci. Comput. 26, 2005).
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
const uint PITCH_A = BLOCK * TWO_WORD_THREADS / TWO_WORD_ACROSS + 1; // odd, against bank conflicts

// [k of the step][row or column of the tile]: high word, low word.
shared vec2 tile_a[STEP * PITCH_A];
shared vec2 tile_b[STEP * TILE_COLS];

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

void store(F32 d, uint d_first, uint m, uint n, uint row, uint col, bool symmetric, float sum, float lost) {
    if (row >= m || col >= n || symmetric && row > col)
        return;
    vec2 value = df_sum_of(sum, lost);
    uint at = d_first + row * n + col;
    d.v[at] = value.x;
    d.v[at + m * n] = value.y;
    if (symmetric && row < col) {
        at = d_first + col * n + row;
        d.v[at] = value.x;
        d.v[at + m * n] = value.y;
    }
}

void store_four(F32 d, uint d_first, uint m, uint n, uint row, uint col, bool symmetric, vec4 sum, vec4 lost) {
    store(d, d_first, m, n, row, col, symmetric, sum.x, lost.x);
    store(d, d_first, m, n, row, col + 1, symmetric, sum.y, lost.y);
    store(d, d_first, m, n, row, col + 2, symmetric, sum.z, lost.z);
    store(d, d_first, m, n, row, col + 3, symmetric, sum.w, lost.w);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 a = p.jobs.job[j].a;
    F32 b = p.jobs.job[j].b;
    F32 d = p.jobs.job[j].d;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint k_count = p.jobs.job[j].k;
    uint groups = p.jobs.job[j].groups;
    bool symmetric = (p.jobs.job[j].flags & TWO_WORD_SYMMETRIC) != 0;
    uint item = group / groups;
    if (is_inactive(j, item, TWO_WORD_ACTIVE))
        return;
    uint tile_rows = BLOCK * (gl_WorkGroupSize.x / TWO_WORD_ACROSS);
    uint tiles_across = (n + TILE_COLS - 1) / TILE_COLS;
    uint tile = group - item * groups;
    uint row0 = tile / tiles_across * tile_rows;
    uint col0 = tile % tiles_across * TILE_COLS;
    if (symmetric && row0 >= col0 + TILE_COLS)
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
        for (uint e = t; e < STEP * tile_rows; e += gl_WorkGroupSize.x) {
            uint row = row0 + e / STEP;
            uint k = k0 + e % STEP;
            uint at = a_first + min(row, m - 1) * k_count + min(k, k_count - 1);
            vec2 value = vec2(a.v[at], a.v[at + m * k_count]);
            tile_a[e % STEP * PITCH_A + e / STEP] = row < m && k < k_count ? value : vec2(0.0);
        }
        for (uint e = t; e < STEP * TILE_COLS; e += gl_WorkGroupSize.x) {
            uint k = k0 + e / TILE_COLS;
            uint col = col0 + e % TILE_COLS;
            uint at = b_first + min(k, k_count - 1) * n + min(col, n - 1);
            vec2 value = vec2(b.v[at], b.v[at + k_count * n]);
            tile_b[e] = k < k_count && col < n ? value : vec2(0.0);
        }
        barrier();
        [[dont_unroll]] for (uint k = 0; k < STEP; ++k) {
            uint a_at = k * PITCH_A + y;
            uint b_at = k * TILE_COLS + x;
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

    uint d_first = 2 * item * m * n;
    store_four(d, d_first, m, n, row0 + y, col0 + x, symmetric, sum0, lost0);
    store_four(d, d_first, m, n, row0 + y + 1, col0 + x, symmetric, sum1, lost1);
    store_four(d, d_first, m, n, row0 + y + 2, col0 + x, symmetric, sum2, lost2);
    store_four(d, d_first, m, n, row0 + y + 3, col0 + x, symmetric, sum3, lost3);
}
