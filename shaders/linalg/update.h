// SPDX-License-Identifier: MIT
// The jobs of the kernels that change inverses and Cholesky factors.
#ifndef HERON_LINALG_UPDATE_H
#define HERON_LINALG_UPDATE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// Of all three kernels of sherman_morrison().
struct RankOneJob {
    U32   p;
    U32   u;
    U32   y;           // P u, n floats for each item
    U32   factor;      // beta / (gamma + beta q), and 1 where P may be changed; two words for each item
    U32   status;      // with UPDATE_STATUS
    uint  n;
    uint  p_row;       // elements between rows ...
    uint  p_item;      // ... and items
    uint  u_item;      // 0: one vector for all
    uint  lanes;       // invocations that share a row in the product, a power of two
    uint  groups;      // workgroups of one item
    uint  flags;       // UPDATE_ bits
    float gamma;
    float beta;
    uint  first_group;
};

// SPEC_RANK_ONE.
const uint RANK_ONE_PRODUCT = 0;
const uint RANK_ONE_FACTOR = 1;
const uint RANK_ONE_UPDATE = 2;

// Of both kernels for Cholesky factors.
struct CholeskyUpdateJob {
    U32  l;
    U32  vector;
    U32  row;         // with UPDATE_REPLACE
    U32  scratch;     // CHOLESKY_SCRATCH n floats for each item
    U32  apply;       // one word for each item: 1 where all rotations exist
    U32  status;      // with UPDATE_STATUS
    uint n;
    uint l_row;       // elements between rows ...
    uint l_item;      // ... and items
    uint vector_item; // 0: one vector for all
    uint row_item;    // 0: one row for all
    uint groups;      // workgroups of one item
    uint flags;       // UPDATE_ bits
    uint first_group;
};

const uint UPDATE_STATUS = 1;
const uint UPDATE_DOWNDATE = 2;
const uint UPDATE_REPLACE = 4;

// Scratch of an item, in pieces of n floats. Those of the first vector; of the second one follow after one piece each.
const uint CHOLESKY_VECTOR = 0;   // the vectors
const uint CHOLESKY_WORK = 2;     // what is left of them
const uint CHOLESKY_COSINE = 4;   // r / l of each rotation
const uint CHOLESKY_INVERSE = 6;  // l / r
const uint CHOLESKY_SINE = 8;     // v / l
const uint CHOLESKY_DIAGONAL = 10;
const uint CHOLESKY_ROW = 11;     // the row that is inserted
const uint CHOLESKY_SCRATCH = 12;

HERON_SHARED_END

#endif
