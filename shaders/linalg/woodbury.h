// SPDX-License-Identifier: MIT
// Jobs of the Woodbury kernels (heron/linalg/woodbury.hpp).
//
// A window has s rows of d elements. Row i of U is u_i, or 2^(e_i) u_i where WOODBURY_NORMALIZED is set; 2^(e_i) is above the
// largest of its elements. The Gram matrix is kept for rows over 2^(e_i). Systems are solved for U' = U / 2^e: the same e for
// all rows, so large that no row of U' and neither lambda' = lambda / 4^e has elements above 1. `factors` take u_i to U'.
#ifndef HERON_LINALG_WOODBURY_H
#define HERON_LINALG_WOODBURY_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint WOODBURY_NORMALIZED = 1;
const uint WOODBURY_HAS_STATUS = 2;
const uint WOODBURY_HAS_DAMPING = 4;
const uint WOODBURY_HAS_NEWEST = 8;
const uint WOODBURY_IF_REFINED = 16;  // nothing to do for matrices that need no refinement
const uint WOODBURY_REFINES = 32;     // refinement where the factor's diagonal asks for it
const uint WOODBURY_ALWAYS = 64;      // refinement everywhere
const uint WOODBURY_OWN_ROW = 128;    // the vector is the window's newest row
const uint WOODBURY_HAS_Y = 256;      // the right-hand side is y, not partial sums
const uint WOODBURY_FINAL = 512;      // results are scaled back
const uint WOODBURY_HAS_EARLIER = 1024;
const uint WOODBURY_HAS_C = 2048;
const uint WOODBURY_AVERAGE = 4096;   // lambda is multiplied by the number of rows that are not zero
const uint WOODBURY_DEVICE_LAMBDA = 8192;
const uint WOODBURY_KEPT = 16384;     // the system and its factor are kept from step to step

const uint WOODBURY_TILE = 8; // rows a workgroup multiplies
const uint WOODBURY_SYSTEM_ROWS = 16; // rows of a system a workgroup makes

// What is known of each system: words.
const uint WOODBURY_EXPONENT = 0;
const uint WOODBURY_LAMBDA = 1;  // float, lambda' with everything that was added
const uint WOODBURY_VERDICT = 2; // of STATUS_: OK and JITTERED are solved, the others not
const uint WOODBURY_REFINED = 3; // 1: refinement goes on
const uint WOODBURY_COUNT = 4;   // float, what lambda was multiplied by
const uint WOODBURY_INFO_WORDS = 5;

// What is known of each kept factor: words (heron::WindowFactor::counts).
const uint WOODBURY_KNOWN = 0;      // 1: it is the kept system's
const uint WOODBURY_KNOWN_EXPONENT = 1;
const uint WOODBURY_REPLACED = 2;   // rows, since it was made
const uint WOODBURY_MADE = 3;       // how often
const uint WOODBURY_BROKEN_DOWN = 4; // replacements that failed
const uint WOODBURY_KEPT_WORDS = 5;

// woodbury_max.comp: the largest |u| (bits of a float) of each chunk of each row; with WOODBURY_OWN_ROW, the next slot.
struct WoodburyMaxJob {
    U32  u;
    U32  partials;
    U32  slot;
    uint d;
    uint stride;
    uint item;   // elements between the windows of a batch
    uint rows;   // of one item
    uint chunks;
    uint slots;
    uint flags;
    uint first_group;
};

// woodbury_exponents.comp: e_i from them.
struct WoodburyExponentsJob {
    U32  partials;
    U32  exponents;
    uint count;
    uint chunks;
    uint reserved;
    uint first_group;
};

// woodbury_gram.comp: partial sums of 8 x 8 tiles of the Gram matrix, on and above the diagonal.
struct WoodburyGramJob {
    U32  u;
    U32  exponents;
    F32  partials;
    uint d;
    uint stride;
    uint item;
    uint rows;
    uint tiles;  // of one item
    uint chunks;
    uint chunk_length; // elements
    uint flags;
    uint reserved;
    uint first_group;
};

// woodbury_gram_sum.comp
struct WoodburyGramSumJob {
    F32  partials;
    F32  gram;
    uint rows;
    uint tiles;
    uint chunks;
    uint first_group;
};

// woodbury_store.comp: the newest row, and its exponent.
struct WoodburyStoreJob {
    U32  g;
    U32  partials;
    U32  u;
    U32  exponents;
    U32  slot;
    uint d;
    uint stride;
    uint item;
    uint g_item;
    uint rows;
    uint chunks; // of the partial results
    uint groups; // workgroups of one item
    uint flags;
    uint reserved;
    uint first_group;
};

// woodbury_dots.comp: partial sums of U' v, or with WOODBURY_OWN_ROW of the normalised rows and the newest of them.
struct WoodburyDotsJob {
    U32  u;
    U32  v;
    F32  factors;
    U32  exponents;
    U32  slot;
    U32  info;
    F32  partials;
    uint d;
    uint stride;
    uint item;
    uint v_item;
    uint rows;
    uint chunks;
    uint tiles; // of 8 rows
    uint flags;
    uint reserved;
    uint first_group;
};

// woodbury_row.comp: a row and column of the Gram matrix; the newest row as a unit vector.
struct WoodburyRowJob {
    F32  partials;
    F32  gram;
    U32  slot;
    F32  newest;
    uint rows;
    uint chunks;
    uint flags;
    uint first_group;
};

// woodbury_system.comp: B = U' U'^T + lambda' I, or with WOODBURY_HAS_C: B = U U^T + C.
struct WoodburySystemJob {
    F32   gram;
    U32   exponents;
    F32   c;
    F32   b;
    F32   factors;
    U32   info;
    F32   device_lambda; // with WOODBURY_DEVICE_LAMBDA
    U32   kept;          // with WOODBURY_KEPT, as the next one; then b is what it was before
    U32   changes;       // for each row how many of its elements are not what they were, and the last of them
    uint  rows;
    uint  groups;
    float lambda;        // or a factor on the device's
    uint  lambda_item;   // elements between the device's lambdas of two windows; 0: one for all
    uint  flags;
    uint  first_group;
};

// woodbury_keep.comp: what becomes of kept factors.
struct WoodburyKeepJob {
    F32  b;
    U32  changes;
    U32  kept;
    U32  info;
    U32  row;         // the one that is replaced; beyond the last one for none
    F32  column;      // of B, that takes its place
    U32  replacement; // status
    U32  anew;        // 1: the factor is made anew
    U32  status;      // of that
    F32  jitter;
    uint rows;
    uint mode;
    uint reserved;
    uint first_group;
};
const uint WOODBURY_KEEP_CHOOSE = 0; // row, column, anew, from what has changed
const uint WOODBURY_KEEP_JUDGE = 1;  // anew, from what became of the replacement
const uint WOODBURY_KEEP_NOTE = 2;   // whether there is a factor now

// woodbury_solve.comp: q = B^-1 r, given the inverse of the Cholesky factor (with WOODBURY_KEPT the factor itself), and
// what becomes of the system.
struct WoodburySolveJob {
    F32  b;
    F32  inverse;
    U32  cholesky_status;
    U32  earlier; // statuses with WOODBURY_HAS_EARLIER
    F32  jitter;
    F32  y;
    F32  partials;
    F32  q;
    U32  info;
    U32  status;
    F32  damping;
    uint rows;
    uint chunks;
    uint mode;
    uint flags;
    float weight;
    uint first_group;
};
const uint WOODBURY_SOLVE_FIRST = 0;  // r = y or the partial sums
const uint WOODBURY_SOLVE_REFINE = 1; // r = y - (sums + lambda' q), q += ...
const uint WOODBURY_SOLVE_AGAIN = 2;  // r = the partial sums, of what is left
const uint WOODBURY_SOLVE_SUM = 3;    // q = the partial sums
const uint WOODBURY_SOLVE_GIVEN = 4;  // q = y, solved elsewhere

// woodbury_combine.comp, with S = U'^T q. With U for U', lambda / 4^e is lambda', so x has to be divided by 2^e (RANGE) or 4^e.
struct WoodburyCombineJob {
    U32   u;
    F32   factors;
    F32   q;
    U32   info;
    U32   b;
    F32   r;
    F32   x;
    uint  d;
    uint  stride;
    uint  item;
    uint  b_item;
    uint  rows;
    uint  groups;
    uint  mode;
    uint  flags;
    float weight;
    uint  first_group;
};
const uint WOODBURY_RANGE = 0;    // x = S
const uint WOODBURY_SUBTRACT = 1; // x = (b - S) / lambda'
const uint WOODBURY_RESIDUAL = 2; // r = b - lambda' x - S
const uint WOODBURY_CORRECT = 3;  // x += (r - S) / lambda'

// woodbury_scale.comp: W = U^T D^(-1/2) (s x d), t = D^(-1/2) b.
struct WoodburyScaleJob {
    F32  diagonal;
    U32  u;
    U32  b;
    F32  w;
    F32  t;
    uint d;
    uint s;
    uint u_stride;
    uint groups; // workgroups of one item
    uint u_item;
    uint first_group;
};

// woodbury_unscale.comp: x = D^(-1/2) x.
struct WoodburyUnscaleJob {
    F32  diagonal;
    F32  x;
    uint count;
    uint first_group;
};

HERON_SHARED_END

#endif
