// SPDX-License-Identifier: MIT
// Jobs of the kernels of GaLore and its relatives, whose moments live in a few singular vectors of the gradient.
#ifndef HERON_OPTIM_LOW_RANK_H
#define HERON_OPTIM_LOW_RANK_H

#include "optim/adamw.h"
#include "optim/lion.h"

HERON_SHARED_BEGIN

// low_rank_basis.comp: vectors are columns.
struct LowRankBasisJob {
    F32  found;       // rows x found_cols for each matrix
    F32  values;      // value_count singular values for each
    F32  old;         // rows x rank: what the signs go by
    F32  basis;       // rows x rank; may be `old`
    uint rows;
    uint found_cols;
    uint value_count;
    uint rank;
    uint padding;
    uint first_group;
};

// low_rank_lion.comp
struct LowRankLionJob {
    F32x4         gradient;  // in the basis
    F32x4         direction;
    MomentOperand momentum;
    LionHyperRef  hyper;
    ElementRange  range;     // of the momentum; the others, and those in 8 bits, begin at its first element
    uint          padding;
    uint          first_group;
};

// low_rank_adam8.comp
struct LowRankAdam8Job {
    F32x4         gradient;  // in the basis
    F32x4         direction;
    MomentOperand moment1;   // of the range
    MomentOperand moment2;
    AdamWHyperRef hyper;
    ElementRange  range;
    uint          padding;
    uint          first_group;
};

// low_rank_square.comp
struct LowRankSquareJob {
    F32x4        from;
    F32x4        to;
    ElementRange range;
    uint         padding;
    uint         first_group;
};

// low_rank_diagonal.comp
struct LowRankDiagonalJob {
    F32x4        low;   // order x order for each matrix
    ElementRange range;
    uint         order;
    uint         first_group;
};

const uint LOW_RANK_STREAM_LEFT = 3; // of random numbers: the first bases (dion.h has those before)
const uint LOW_RANK_STREAM_RIGHT = 4;

HERON_SHARED_END

#endif
