// SPDX-License-Identifier: MIT
// Jobs of PSGD's low-rank preconditioner, Q = (I + U V^T) diag(d) over all parameters of an optimizer: N entries, those of each
// parameter padded to a multiple of four with rows of zeros.
//
// W is N x (2 r + 2): U, V, and two columns in which a fit keeps d h and v / d. With its Gram matrix W^T W everything that a fit
// needs of U and V together is algebra of r x r. r may be 0: then there are the two columns.
#ifndef HERON_OPTIM_PSGD_LRA_H
#define HERON_OPTIM_PSGD_LRA_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// psgd_lra_columns.comp: the last two columns, of one parameter.
struct PsgdLraColumnsJob {
    F32  d;
    F32  x;       // h, or what is to be preconditioned
    F32  v;       // LRA_PROBE; else the second column is 0
    F32  w;       // W from the parameter's first row on
    uint count;
    uint rank;
    uint rounds;
    uint flags;
    uint reserved;
    uint first_group;
};

// psgd_lra_small.comp: one workgroup.
struct PsgdLraSmallJob {
    F32  gram;
    F32  small;   // LRA_ members below
    uint rank;
    uint flags;   // LRA_APPLY
    uint reserved;
    uint first_group;
};

// psgd_lra_rows.comp: partial results of a workgroup, four floats: largest |P h . h|, largest |v . P^-1 v|, |a|^2, |b|^2. With
// LRA_APPLY y = P x in their place.
struct PsgdLraRowsJob {
    F32  w;
    F32  d;
    F32  small;
    F32  to;      // partial results, or y
    uint rows;
    uint rank;
    uint rounds;
    uint flags;
    uint reserved;
    uint first_group;
};

// psgd_lra_rate.comp: one workgroup.
struct PsgdLraRateJob {
    F32   partials;
    F32   small;
    F32   smoothness; // L of d, U, V
    F32   choice;     // 0: U moves, else V
    uint  partial_count;
    float decay;
    float rate;
    uint  first_group;
};

// psgd_lra_update.comp
struct PsgdLraUpdateJob {
    F32  w;
    F32  d;
    F32  small;
    uint rows;
    uint rank;
    uint reserved;
    uint first_group;
};

// psgd_lra_start.comp: U and V of normal numbers.
struct PsgdLraStartJob {
    F32  u;
    F32  v;
    F32  norms;   // of both
    F32  w;       // from the parameter's first row on
    uint rows;
    uint rank;
    uint rounds;
    uint first_group;
};

const uint LRA_PROBE = 1;
const uint LRA_APPLY = 2;

const uint LRA_MAX_RANK = 64;
const uint LRA_ROWS = 16; // of a workgroup of psgd_lra_update.comp

// `small`, all in f32: scalars, vectors of r, matrices of r x r.
const uint LRA_GOOD = 0;
const uint LRA_NORMS = 1;   // |V V^T a|, |V V^T b|, |U U^T a|, |U U^T b|
const uint LRA_RATES = 5;   // of d, U, V
const uint LRA_SCALARS = 8;
// Vectors. With the first four, and U and V as they are before they are balanced, a = d h + U alpha, P h = d (a + V beta),
// b = v / d - V gamma, P^-1 v = (b - U delta) / d.
const uint LRA_ALPHA = 0;
const uint LRA_BETA = 1;
const uint LRA_GAMMA = 2;
const uint LRA_DELTA = 3;
const uint LRA_UA = 4;      // U^T a
const uint LRA_UB = 5;
const uint LRA_SVA = 6;     // S^T V^T a
const uint LRA_SVB = 7;
const uint LRA_VECTORS = 12; // and four of the kernel's own
// Matrices: U <- U A and V <- V B balance; the others are the kernel's own.
const uint LRA_A = 0;
const uint LRA_B = 1;
const uint LRA_MATRICES = 9;

HERON_SHARED_END

#endif
