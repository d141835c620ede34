// SPDX-License-Identifier: MIT
// Job of two_word_product.comp. A matrix of two f32 words an element lies as two matrices without gaps, the high words
// and after them the low ones: element = high + low, |low| <= ulp(high) / 2.
#ifndef HERON_LINALG_TWO_WORD_PRODUCT_H
#define HERON_LINALG_TWO_WORD_PRODUCT_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct TwoWordProductJob {
    F32   a;
    F32   b;
    F32   c;            // TWO_WORD_ADDS
    F32   d;
    U32   active_items; // with TWO_WORD_ACTIVE: a word for each item, 0 where D stays as it is
    uint  m;            // D and C are m x n, op(A) m x k, op(B) k x n
    uint  n;
    uint  k;            // of this dispatch; 0: there is no product
    uint  k_first;
    uint  k_all;        // of A and B
    uint  flags;        // TWO_WORD_
    uint  groups;       // workgroups of one item: tiles of D
    uint  d_stride;     // elements of D
    uint  d_item;
    float alpha;        // each a high word and a low one
    float alpha_low;
    float beta;
    float beta_low;
    float diagonal;
    float diagonal_low;
    uint  first_group;
};

const uint TWO_WORD_ACTIVE = 1;
const uint TWO_WORD_SYMMETRIC = 2; // D is: what is below its diagonal is a copy of what is above
const uint TWO_WORD_TRANSPOSE_A = 4;
const uint TWO_WORD_TRANSPOSE_B = 8;
const uint TWO_WORD_ADDS = 16;    // beta C
const uint TWO_WORD_ROUNDED = 32; // D has one word an element

const uint TWO_WORD_BLOCK = 4;    // rows, and columns, of D that an invocation computes
const uint TWO_WORD_ACROSS = 8;   // invocations side by side
const uint TWO_WORD_THREADS = 64; // of a workgroup, at most; a multiple of TWO_WORD_ACROSS

HERON_SHARED_END

#endif
