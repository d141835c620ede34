// SPDX-License-Identifier: MIT
// Jobs of the kernels on inverse Fisher matrices (heron/linalg/fisher_inverse.hpp). Y is kept block after block: m rows of
// `block` coordinates each, the last one of what is left.
#ifndef HERON_LINALG_FISHER_H
#define HERON_LINALG_FISHER_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// fisher_blocks.comp: the rows of a matrix in that order.
struct FisherBlocksJob {
    U32  g;
    U32  kept; // where has_kept is set: elements are 0 where it is 0
    F32  y;
    uint d;
    uint stride;
    uint rows;
    uint block;
    uint groups; // workgroups of one row
    uint has_kept;
    uint reserved;
    uint first_group;
};

// fisher_values.comp: what follows from the diagonal, for each coordinate.
struct FisherValuesJob {
    F32   y;
    F32   weights;
    U32   kept;
    F32   result;
    uint  d;
    uint  rows;
    uint  block;
    uint  mode;
    float damping;
    uint  first_group;
};
const uint FISHER_DIAGONAL = 0; // [F^-1]_jj
const uint FISHER_SCORES = 1;   // w^2 / (2 [F^-1]_jj), infinite where the weight is not kept
const uint FISHER_REMOVAL = 2;  // -w / [F^-1]_jj where it is not kept, else 0

// fisher_elements.comp
struct FisherElementsJob {
    F32   y;
    U32   pairs;
    F32   result;
    uint  count;
    uint  d;
    uint  rows;
    uint  block;
    float damping;
    uint  first_group;
};

// fisher_drop.comp: kept[indices[i]] = 0.
struct FisherDropJob {
    U32  indices;
    U32  kept;
    uint count;
    uint first_group;
};

// fisher_settle.comp: w += change where it is kept, else 0.
struct FisherSettleJob {
    F32  weights;
    F32  change;
    U32  kept;
    uint count;
    uint first_group;
};

HERON_SHARED_END

#endif
