// SPDX-License-Identifier: MIT
// Jobs of the Jacobi kernels (eigh, svd), which all work on a batch of matrices of one shape.
//
// A matrix is worked on as pairs of column blocks. Block columns are `block` wide and there are `blocks` of them, an even
// number; in round r of a sweep block columns meet as in a round-robin tournament (jacobi_pair() of jacobi.glsl), so that
// after blocks - 1 rounds each has met each. A pair has m = 2 block columns; its rotation J is m x m.
//
// Words of a matrix's state: what the kernels tell each other.
#ifndef HERON_LINALG_JACOBI_H
#define HERON_LINALG_JACOBI_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint JACOBI_STATE_WORDS = 4;
const uint JACOBI_FROZEN = 0; // not 0: the columns are as good as they get; nothing rotates any more
const uint JACOBI_STATUS = 1; // STATUS_
const uint JACOBI_SCALE = 2;  // the int k of the power 2^k that the input was divided by

// Y = the input, divided by a power of two near its norm, padded with zeros; zero if the input is not finite.
struct JacobiPrepareJob {
    U32  x;
    F32  y;         // y_rows x y_cols, contiguous
    F32  norm;      // PREPARE_BASIS: Frobenius norm of each X^T X - I
    U32  exponent;  // of the Frobenius norm of each matrix of x
    U32  nonfinite; // number of non-finite elements of each; PREPARE_DOUBTFUL: 0 where nothing is left to do
    U32  state;     // written
    uint rows;      // of x
    uint cols;
    uint x_stride;
    uint x_item;
    uint y_rows;
    uint y_cols;
    uint chunks;    // workgroups of a matrix
    uint first_group;
};

// SPEC_PREPARE.
const uint PREPARE_SYMMETRIC = 0; // (X + X^T) / 2
const uint PREPARE_COPY = 1;      // X
const uint PREPARE_TRANSPOSE = 2; // X^T
const uint PREPARE_BASIS = 3;     // X unscaled where `norm` says that it is orthonormal, else the identity
const uint PREPARE_IDENTITY = 4;  // the identity; reads nothing
const uint PREPARE_PAD = 5;       // X unscaled
const uint PREPARE_DOUBTFUL = 6;  // X unscaled; freezes matrices whose word of `nonfinite` is 0

// The largest ||X^T X - I||_F of a basis that is taken as a start.
const float BASIS_TOLERANCE = 0.0009765625; // 2^-10

// J = rotation that makes one pair's m x m symmetric matrix (nearly) diagonal.
struct JacobiSolveJob {
    F32   x;          // the matrix; its upper triangle is read
    F32   jt;         // m x m for each pair: J^T
    F32   j;          // result, j_order x j_order for each pair
    F32   partials;   // what the off-diagonal elements were, for settle
    U32   state;
    uint  order;      // of the matrix of a pair: 2 block, or of a whole matrix (less than m where that is odd)
    uint  x_stride;
    uint  x_item;     // elements between matrices of the batch
    uint  x_pair;     // elements between pairs: 0 where the pairs are parts of one matrix
    uint  block;
    uint  blocks;
    uint  round;
    uint  pairs;      // of a matrix of the batch
    uint  partial_at; // first partial of this round
    uint  partial_item;
    uint  sweeps;     // at most
    float tolerance;  // stop when a sweep met no more than that (sum of squares)
    float floor;      // relative measure: diagonal elements below it count for nothing
    uint  flags;      // SOLVE_
    uint  reserved;
    uint  first_group;
};
const uint SOLVE_RELATIVE = 1; // off-diagonal elements are measured against the diagonal, else as they are
const uint SOLVE_LAST = 2;     // the partial is what the last sweep met, else the first
const uint SOLVE_KEEP = 4;     // the upper triangle of X becomes J^T X J; X is not part of a larger matrix
const uint SOLVE_CONTINUED = 8; // J^T is what the dispatch before left there

// Y = X J for each pair's columns, or its transpose. Y may be X where it is not the transpose.
struct JacobiRotateJob {
    F32  x;
    F32  y;
    F32  j;
    U32  state;
    uint rows;
    uint stride; // of X and Y
    uint item;   // elements between matrices of X, and of Y
    uint block;
    uint blocks;
    uint round;
    uint chunks; // workgroups of a pair
    uint flags;
    uint reserved;
    uint first_group;
};
const uint ROTATE_TRANSPOSED = 1;

// G = X^T X of each pair's columns, upper triangle of 4 x 4 tiles.
struct JacobiGramJob {
    F32  x;
    F32  g;
    U32  state;
    uint rows;
    uint stride;
    uint item;
    uint block;
    uint blocks;
    uint round;
    uint chunks;
    uint first_group;
};

// Freezes matrices whose partials of a sweep add up to `tolerance` or less.
struct JacobiSettleJob {
    F32   partials;
    U32   state;
    uint  count;     // partials of a matrix
    float tolerance;
    float limit;     // more than that after the last sweep: not converged; negative: there are more sweeps
    uint  first_group;
};

HERON_SHARED_END

#endif
