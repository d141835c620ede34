// SPDX-License-Identifier: MIT
// Divide and conquer for symmetric tridiagonal matrices (Cuppen 1981; Gu and Eisenstat 1995): two solved parts become one.
//
//   T = diag(S_1, S_2) + |e| (x x^T),  x = last unit vector of the first half + sign(e) first unit vector of the second
//     = Q (diag(d) + rho z z^T) Q^T,   Q = diag(Q_1, Q_2),  z = Q^T x / sqrt(2),  rho = 2 |e|
//
// Poles d_i whose z_i is negligible, and all but one of those that are nearly the same, are eigenvalues already (they are
// "deflated", the latter by a rotation). For the others, eigenvalues are the roots of the secular equation
//
//   f(x) = 1 + rho sum_i z_i^2 / (d_i - x)
//
// one after each pole. Each is kept as its distance from the nearer pole, so that d_i - x is accurate; z is then replaced by the
// one for which these roots are exact, which makes the eigenvectors (z_i / (d_i - x))_i orthonormal to rounding.
//
// Nothing is sorted in memory: the eigenvalue that follows a pole takes its column.
#ifndef HERON_LINALG_SECULAR_H
#define HERON_LINALG_SECULAR_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// All steps of one level, for `merges` pairs of halves of each matrix.
struct SecularJob {
    F32  d;      // poles: `size` of each matrix
    F32  e;      // off-diagonal of the tridiagonal matrix
    F32  q;      // eigenvectors of the halves, half x half each
    F32  numbers; // SECULAR_ arrays of total = items x size elements
    U32  words;
    F32  u;      // eigenvectors of diag(d) + rho z z^T, 2 half x 2 half each
    F32  values; // in the columns' order, the first `count` of each matrix
    uint size;
    uint half_size;
    uint merges;
    uint total;
    uint count;
    uint groups; // workgroups of a merge
    uint reserved;
    uint first_group;
};

// Numbers. By pole in ascending order:
const uint SECULAR_POLES = 0;
const uint SECULAR_Z = 1;
// By pole, without those that are deflated:
const uint SECULAR_KEPT = 2;    // d
const uint SECULAR_KEPT_Z = 3;
const uint SECULAR_ORIGIN = 4;  // the pole that is nearer to the root
const uint SECULAR_OFFSET = 5;  // root - origin
const uint SECULAR_WEIGHT = 6;  // the replaced z
// By rotation:
const uint SECULAR_COSINE = 7;
const uint SECULAR_SINE = 8;
const uint SECULAR_NUMBERS = 9;

// Words.
const uint SECULAR_ORDER = 0;     // column of the pole, in ascending order
const uint SECULAR_COLUMN = 1;    // the same of those that are kept
const uint SECULAR_PLACE = 2;     // by column: which of those kept it is
const uint SECULAR_FIRST = 3;     // by rotation: columns that it mixes
const uint SECULAR_SECOND = 4;
const uint SECULAR_KEPT_COUNT = 5; // by merge
const uint SECULAR_ROTATIONS = 6;
const uint SECULAR_WORDS = 7;

const uint SECULAR_NOT_KEPT = 0xffffffff;

HERON_SHARED_END

#endif
