// SPDX-License-Identifier: MIT
// D = alpha op(A) op(B) + beta C + diagonal I of matrices with two f32 words an element, for devices without f64: of
// each product of two elements the high words' exact value (T. J. Dekker, Numer. Math. 18, 1971) and those of a high and
// a low one, added up in two words, too (T. Ogita, S. M. Rump, S. Oishi, SIAM J. Sci. Comput. 26, 2005).
//
// A workgroup computes a tile of D: TWO_WORD_BLOCK rows for each row of TWO_WORD_ACROSS invocations, which have every
// TWO_WORD_ACROSS-th column each. It goes along k in steps of STEP that all bring into shared memory first; invocations
// beyond the edge multiply zeros. CPU drivers with subgroups of TWO_WORD_ACROSS take one of them a workgroup and read A
// and B where they are: A's elements from addresses that all invocations share, which lavapipe loads once, and B's side
// by side. (lavapipe 26.1, two Zen 4 cores, five iterations of Newton-Schulz on 512 x 512: 525 ms for 1185.)
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/two_word_product.h"
#define JOB TwoWordProductJob
#include "core/kernel.glsl"
#include "core/double_float.glsl"
#include "core/lanes.glsl"
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
float far_half(float x) { return uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u); }
vec4 far_halves(vec4 x) { return uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u); }

// Four elements of a row of D: the sum so far, and what adding up has lost of it. Written out for each row, not in a
// loop: when spirv-opt unrolls one it keeps `precise` for the first round alone.
void add_products(inout vec4 sum, inout vec4 lost, vec2 a, vec4 b, vec4 b_low, vec4 b_far, vec4 b_near) {
    precise float a_far = far_half(a.x);
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

float component(vec4 x, uint c) { return c < 2 ? c < 1 ? x.x : x.y : c < 3 ? x.z : x.w; }

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

vec4 sum0 = vec4(0.0), sum1 = vec4(0.0), sum2 = vec4(0.0), sum3 = vec4(0.0);
vec4 lost0 = vec4(0.0), lost1 = vec4(0.0), lost2 = vec4(0.0), lost3 = vec4(0.0);

// One k: `a` are the elements of four rows of A.
void add_products_of(vec2 a0, vec2 a1, vec2 a2, vec2 a3, vec4 b_high, vec4 b_low) {
    vec4 b_far = far_halves(b_high);
    precise vec4 b_near = b_high - b_far;
    add_products(sum0, lost0, a0, b_high, b_low, b_far, b_near);
    add_products(sum1, lost1, a1, b_high, b_low, b_far, b_near);
    add_products(sum2, lost2, a2, b_high, b_low, b_far, b_near);
    add_products(sum3, lost3, a3, b_high, b_low, b_far, b_near);
}

// op(A) or op(B), or the part of it along k that this dispatch multiplies: where the item's high words begin and how
// far the low ones are from them, elements between two rows of op(A) or columns of op(B) and between two k, and the
// item's end.
struct Factor {
    F32 x;
    uint first;
    uint low;
    uint line;
    uint along;
    uint end;
};

vec2 load_words(Factor f, uint at) { return vec2(f.x.v[at], f.x.v[at + f.low]); }
vec4 load_four_lanes(Factor f, uint at) {
    return vec4(load_lanes(f.x, at, f.end), load_lanes(f.x, at + TWO_WORD_ACROSS, f.end),
                load_lanes(f.x, at + 2 * TWO_WORD_ACROSS, f.end), load_lanes(f.x, at + 3 * TWO_WORD_ACROSS, f.end));
}

// One k: the elements of four rows of A begin at a_at.
void multiply_at(Factor a, uvec4 a_at, vec4 b_high, vec4 b_low) {
    add_products_of(load_words(a, a_at.x), load_words(a, a_at.y), load_words(a, a_at.z), load_words(a, a_at.w), b_high,
                    b_low);
}

// All k, straight from memory, by one subgroup. Rows and columns beyond the edge repeat the last one. (Addresses of the
// round more than needed that lavapipe runs with nobody active lie within the operands, too.)
void multiply_directly(Factor a, Factor b, uint row0, uint col0, uint m, uint n, uint k_count) {
    uvec4 a_first = a.first + min(row0 + uvec4(0, 1, 2, 3), uvec4(m - 1)) * a.line;
    if (b.line == 1 && col0 + 4 * TWO_WORD_ACROSS <= n) {
        for (uint k = 0; k < k_count; ++k) {
            uint now = min(k, k_count - 1);
            uint b_at = b.first + col0 + now * b.along;
            multiply_at(a, a_first + now * a.along, load_four_lanes(b, b_at), load_four_lanes(b, b_at + b.low));
        }
    } else {
        uvec4 cols = col0 + gl_SubgroupInvocationID + TWO_WORD_ACROSS * uvec4(0, 1, 2, 3);
        uvec4 b_first = b.first + min(cols, uvec4(n - 1)) * b.line;
        for (uint k = 0; k < k_count; ++k) {
            uint now = min(k, k_count - 1);
            uvec4 at = b_first + now * b.along;
            vec2 b0 = load_words(b, at.x), b1 = load_words(b, at.y), b2 = load_words(b, at.z), b3 = load_words(b, at.w);
            multiply_at(a, a_first + now * a.along, vec4(b0.x, b1.x, b2.x, b3.x), vec4(b0.y, b1.y, b2.y, b3.y));
        }
    }
}

// All k through shared memory, by the whole workgroup. Neighbouring invocations load neighbours in memory.
void multiply_tiles(Factor a, Factor b, uint row0, uint tile_rows, uint col0, uint m, uint n, uint k_count) {
    uint t = gl_LocalInvocationID.x;
    bool a_along = a.along == 1;
    bool b_along = b.along == 1;
    for (uint k0 = 0; k0 < k_count; k0 += STEP) {
        barrier(); // the step before has been multiplied by all
        for (uint e = t; e < STEP * tile_rows; e += gl_WorkGroupSize.x) {
            uint down = a_along ? e / STEP : e % tile_rows;
            uint along = a_along ? e % STEP : e / tile_rows;
            uint row = row0 + down;
            uint k = k0 + along;
            vec2 value = load_words(a, a.first + min(row, m - 1) * a.line + min(k, k_count - 1) * a.along);
            tile_a[along * PITCH_A + down] = row < m && k < k_count ? value : vec2(0.0);
        }
        for (uint e = t; e < STEP * TILE_COLS; e += gl_WorkGroupSize.x) {
            uint right = b_along ? e / STEP : e % TILE_COLS;
            uint along = b_along ? e % STEP : e / TILE_COLS;
            uint col = col0 + right;
            uint k = k0 + along;
            vec2 value = load_words(b, b.first + min(col, n - 1) * b.line + min(k, k_count - 1) * b.along);
            tile_b[along * PITCH_B + right] = col < n && k < k_count ? value : vec2(0.0);
        }
        barrier();
        [[dont_unroll]] for (uint k = 0; k < STEP; ++k) {
            uint a_at = k * PITCH_A + t / TWO_WORD_ACROSS * BLOCK;
            uint b_at = k * PITCH_B + t % TWO_WORD_ACROSS;
            vec2 b0 = tile_b[b_at], b1 = tile_b[b_at + TWO_WORD_ACROSS], b2 = tile_b[b_at + 2 * TWO_WORD_ACROSS],
                 b3 = tile_b[b_at + 3 * TWO_WORD_ACROSS];
            add_products_of(tile_a[a_at], tile_a[a_at + 1], tile_a[a_at + 2], tile_a[a_at + 3],
                            vec4(b0.x, b1.x, b2.x, b3.x), vec4(b0.y, b1.y, b2.y, b3.y));
        }
    }
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 a_address = p.jobs.job[j].a;
    F32 b_address = p.jobs.job[j].b;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint k_count = p.jobs.job[j].k;
    uint k_all = p.jobs.job[j].k_all;
    uint k_first = p.jobs.job[j].k_first;
    uint groups = p.jobs.job[j].groups;
    uint flags = p.jobs.job[j].flags;
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

    bool transpose_a = (flags & TWO_WORD_TRANSPOSE_A) != 0;
    bool transpose_b = (flags & TWO_WORD_TRANSPOSE_B) != 0;
    uint a_count = m * k_all;
    uint b_count = k_all * n;
    uint a_item = 2 * item * a_count;
    uint b_item = 2 * item * b_count;
    Factor a = Factor(a_address, a_item, a_count, transpose_a ? 1 : k_all, transpose_a ? m : 1, a_item + 2 * a_count);
    Factor b = Factor(b_address, b_item, b_count, transpose_b ? k_all : 1, transpose_b ? 1 : n, b_item + 2 * b_count);
    a.first += k_first * a.along;
    b.first += k_first * b.along;
    if (LANES != 0)
        multiply_directly(a, b, row0, col0, m, n, k_count);
    else
        multiply_tiles(a, b, row0, tile_rows, col0, m, n, k_count);

    uint row = row0 + gl_LocalInvocationID.x / TWO_WORD_ACROSS * BLOCK;
    uint col = col0 + gl_LocalInvocationID.x % TWO_WORD_ACROSS;
    // One by one: sixteen copies of store() would be most of the code.
    [[dont_unroll]] for (uint e = 0; e < BLOCK * BLOCK; ++e) {
        vec4 sums = e < 8 ? e < 4 ? sum0 : sum1 : e < 12 ? sum2 : sum3;
        vec4 losses = e < 8 ? e < 4 ? lost0 : lost1 : e < 12 ? lost2 : lost3;
        store(j, item, row + e / BLOCK, col + e % BLOCK * TWO_WORD_ACROSS, component(sums, e % BLOCK),
              component(losses, e % BLOCK));
    }
}
