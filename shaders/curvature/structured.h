// SPDX-License-Identifier: MIT
// Jobs of structured matrices (heron/linalg/structure.hpp). A job is one matrix; its elements lie in this order:
//
//   dense, diagonal   row by row; along the diagonal
//   block diagonal    block after block, each row by row
//   Toeplitz          coefficients from the main diagonal on
//   hierarchical      the rows of [A B], the diagonal C, the rows of [D E]
#ifndef HERON_CURVATURE_STRUCTURED_H
#define HERON_CURVATURE_STRUCTURED_H

#include "linalg/factor.h"

HERON_SHARED_BEGIN

const uint STRUCTURE_DENSE = 0; // heron::StructureKind
const uint STRUCTURE_DIAGONAL = 1;
const uint STRUCTURE_BLOCKS = 2;
const uint STRUCTURE_LOWER_TOEPLITZ = 3;
const uint STRUCTURE_UPPER_TOEPLITZ = 4;
const uint STRUCTURE_HIERARCHICAL = 5;

struct Structure {
    uint kind;  // STRUCTURE_
    uint order;
    uint first; // order of blocks, or of the first dense part
    uint last;  // order of the last dense part
};

// structured_start.comp
struct StructuredStartJob {
    U32       k;
    Structure structure;
    uint      stored; // elements of k
    uint      first_group;
};

// structured_statistic.comp
struct StructuredStatisticJob {
    U32        from;
    F32        to;         // pieces x stored
    FactorRows rows;
    Structure  structure;
    uint       item;
    uint       stored;
    uint       pieces;     // of the rows
    uint       piece_rows; // rows of all pieces but the last
    float      weight;
    uint       padding;
    uint       first_group;
};

// structured_total.comp
struct StructuredTotalJob {
    F32   from;   // pieces x count
    F32   to;
    uint  count;
    uint  pieces;
    float weight;
    uint  first_group;
};

// structured_gram.comp
struct StructuredGramJob {
    U32       k;
    F32       u;      // STRUCTURED_HAS_U
    F32       to;
    Structure structure;
    uint      stored;
    uint      flags;
    uint      padding;
    uint      first_group;
};

// structured_multiply.comp
struct StructuredMultiplyJob {
    U32       k;
    F32       b;
    F32       to;
    Structure structure;
    uint      stored;
    uint      first_group;
};

// structured_diagonals.comp
struct StructuredDiagonalsJob {
    F32  w;
    F32  to;
    uint order;
    uint first_group;
};

// structured_product.comp
struct StructuredProductJob {
    F32       x;
    U32       k;
    F32       y;
    Structure structure;
    uint      free;         // lines of x along the other axis
    uint      free_stride;  // elements from line to line of x and y
    uint      along_stride; // and along a line
    uint      flags;        // STRUCTURED_TRANSPOSED, STRUCTURED_SQUARED, STRUCTURED_FREE_FASTEST
    uint      padding;
    uint      first_group;
};

// structured_momentum.comp
struct StructuredMomentumJob {
    F32       h;       // Pi(K^T U K)
    F32       gram;    // Pi(K^T K)
    F32       other_h; // the other side's
    F32       other_gram;
    F32       unit;       // one float: h is to be read times its square (STRUCTURED_HAS_UNIT)
    F32       other_unit; // STRUCTURED_OTHER_UNIT
    U32       momentum;   // STRUCTURED_HAS_MOMENTUM
    F32       candidate;
    F32       maxima;   // one a workgroup
    Structure structure;
    Structure other;
    uint      stored;
    uint      rounds;
    uint      flags;
    float     sigma;
    float     alpha;
    float     damping;
    uint      padding;
    uint      first_group;
};

// structured_commit.comp
struct StructuredCommitJob {
    U32  k;
    U32  momentum; // STRUCTURED_HAS_MOMENTUM
    F32  candidate;
    F32  product;  // K m
    F32  maxima;
    F32  rate;     // one float
    U32  failures;
    uint stored;
    uint rounds;
    uint maxima_count;
    uint flags;
    uint padding;
    uint first_group;
};

const uint STRUCTURED_HAS_U = 1;
const uint STRUCTURED_TRANSPOSED = 2;   // the product is with the transpose
const uint STRUCTURED_SQUARED = 4;      // with k^2, of a diagonal
const uint STRUCTURED_FREE_FASTEST = 8; // free_stride is 1: neighbouring invocations have neighbouring lines
const uint STRUCTURED_HAS_MOMENTUM = 16;
const uint STRUCTURED_KFAC_LIKE = 32;
const uint STRUCTURED_NORMALIZE = 64;
const uint STRUCTURED_HAS_UNIT = 128;
const uint STRUCTURED_OTHER_UNIT = 256;

// Elements of factors end here, whatever their type: f16's largest number.
const float LARGEST_FACTOR = 65504.0f;
// A step whose momentum has elements above this (2^60) is none: K m would not be finite.
const uint LARGEST_MOMENTUM_BITS = 0x5d800000u;

HERON_SHARED_END

#endif
