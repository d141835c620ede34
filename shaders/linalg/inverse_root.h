// SPDX-License-Identifier: MIT
// Jobs of the inverse root kernels, and the rules that the kernel for small matrices shares with those for large ones.
#ifndef HERON_LINALG_INVERSE_ROOT_H
#define HERON_LINALG_INVERSE_ROOT_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// heron::DampingScale: what the relative damping is a multiple of.
const uint ROOT_SCALE_MEAN = 0;     // mean of the diagonal
const uint ROOT_SCALE_INFINITY = 1; // infinity norm
const uint ROOT_SCALE_DIAGONAL = 2; // largest element of the diagonal

// What has become of a matrix. All but RUNNING are frozen: later iterations change nothing.
const uint ROOT_RUNNING = 0;
const uint ROOT_CONVERGED = 1;
const uint ROOT_STAGNATED = 2;  // the last iterate but one was better, and is the result
const uint ROOT_INDEFINITE = 3; // from here on failed: no result
const uint ROOT_SINGULAR = 4;
const uint ROOT_NONFINITE = 5;

const uint ROOT_HAS_STATUS = 1;
const uint ROOT_HAS_RESIDUAL = 2;
const uint ROOT_HAS_USED = 4;
const uint ROOT_KEEP = 8;       // a failed matrix leaves the result as it was
const uint ROOT_BOUNDED = 16;   // the watched matrix has eigenvalues in [0, 1] after the first iteration
const uint ROOT_WARM = 32;      // the new iterate is a first guess, kept where |I - M X|_inf < 1
const uint ROOT_GUESSED = 512;  // as ROOT_BOUNDED, of a matrix whose first guess was not kept
const uint ROOT_WRITES_T = 64;  // T = ((p + 1) I - M) / p is asked for
const uint ROOT_FAILURES = 128; // a status of each matrix says whether its Cholesky factor exists
// Iterates have two words an element: high ones, and n x n elements later low ones (linalg/two_word_product.h).
const uint ROOT_TWO_WORDS = 256;

const uint ROOT_STATE_WORDS = 4; // one of the above, error (bits of a float), iterations, exponent of the scale

// inverse_root_workgroup.comp: a batch of small matrices, coupled Newton.
struct InverseRootJob {
    U32   a;
    F32   x;
    U32   status;
    F32   residual;
    U32   used;
    uint  n;
    uint  a_stride;
    uint  a_item;
    uint  x_stride;
    uint  x_item;
    uint  p;
    uint  iterations;
    float absolute; // damping
    float relative;
    uint  relative_to;
    float tolerance;
    uint  flags;
    uint  reserved;
    uint  first_group;
};

// inverse_root_rows.comp: W = (A + A^T) / 2, and four floats of each row: sum of |w|, in units of the row's own
// (root_unit() of its largest element), sum of (w / that sum)^2, diagonal element, and what the row is (ROOT_ROW_).
const float ROOT_ROW_LARGE = 0.0; // in units of 2^13
const float ROOT_ROW_SMALL = 1.0; // of 2^-40
const float ROOT_ROW_NONFINITE = 2.0;

struct RootRowsJob {
    U32  a;
    F32  w;
    F32  rows;
    uint n;
    uint a_stride;
    uint a_item;
    uint groups; // workgroups of one item
    uint reserved;
    uint first_group;
};

// inverse_root_start.comp: M = (W + damping I) / c, c a power of two; X = I; the first state of each matrix.
struct RootStartJob {
    F32   w;
    F32   rows;
    F32   m;
    F32   x;
    F32   t; // with ROOT_WRITES_T
    U32   states;
    U32   running; // see RootCommitJob
    uint  n;
    uint  p;
    float absolute;
    float relative;
    uint  relative_to;
    float norm; // the largest that M may have; 0: Newton's
    uint  slots; // states of one item
    uint  flags;
    uint  groups;
    uint  first_group;
};

// inverse_root_guess.comp: X = c X0.
struct RootGuessJob {
    F32  guess;
    F32  x;
    U32  states;
    uint n;
    uint guess_stride;
    uint guess_item;
    uint slots;
    uint groups;
    uint first_group;
};

// inverse_root_error.comp: the largest |test - I|, or its infinity norm, as the bits of a float, of each workgroup's rows.
struct RootErrorJob {
    F32  test;
    U32  partials;
    U32  running; // see RootCommitJob
    uint n;
    uint groups;
    uint flags; // ROOT_WARM: infinity norm
    uint first_group;
};

// inverse_root_commit.comp: decides for each matrix whether the new iterate is kept; where not, puts the old one in its place.
// `running` has a word for each matrix, 0 when it has stopped: all operations of later iterations leave it alone.
struct RootCommitJob {
    F32   old0;
    F32   old1;
    F32   old2;
    F32   new0;
    F32   new1; // the watched matrix for Newton's iteration
    F32   new2;
    F32   t;
    U32   partials;
    U32   failures;
    U32   states;
    U32   running;
    uint  n;
    uint  p;
    uint  matrices; // iterates: 1 to 3
    uint  partial_count;
    uint  iteration; // 1 for the first
    float tolerance;
    uint  slots;
    uint  flags;
    uint  groups;
    uint  first_group;
};

// inverse_root_denman.comp: of M, its inverse and log det: g^2 = det(M)^(-1/n), new M and F = (g / 2) (I + M^-1 / g^2).
struct RootDenmanJob {
    F32  m;
    F32  inverse;
    F32  log_determinant;
    F32  next;
    F32  f;
    U32  states;
    U32  running;
    uint n;
    uint iteration;
    uint slots;
    uint groups;
    uint reserved;
    uint first_group;
};

// inverse_root_finish.comp: result = 2^(exponent power) X, statuses.
struct RootFinishJob {
    F32   x;
    F32   corrected; // X ((p + 1) I - M) / p
    F32   result;
    U32   states;
    U32   status;
    F32   residual;
    U32   used;
    uint  n;
    uint  result_stride;
    uint  result_item;
    int   numerator; // power = numerator / denominator
    uint  denominator;
    float tolerance;
    uint  slots;
    uint  flags;
    uint  groups;
    uint  first_group;
};

HERON_SHARED_END

#endif
