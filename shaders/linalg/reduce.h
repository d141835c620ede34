// SPDX-License-Identifier: MIT
// The job of the reduction kernel: one pass over the elements, or over the partial results of the pass before.
#ifndef HERON_LINALG_REDUCE_H
#define HERON_LINALG_REDUCE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct ReduceJob {
    U32  from;
    U32  to;
    uint count;       // elements (or partial results) of one item of the batch
    uint cols;        // elements of a row
    uint stride;      // elements between rows
    uint item_stride; // elements (or partial results) between items
    uint chunks;      // workgroups of one item; with 1 the result is final
    uint flags;       // REDUCE_ bits
    uint reserved;
    uint first_group;
};

const uint REDUCE_PARTIAL = 1; // `from` holds partial results, three words each
const uint REDUCE_STRIDED = 2; // there are gaps between the rows
// Of REDUCE_NORM, whose result is then the int k with 2^k <= norm < 2^(k + 1), also where the norm is no float; 0 where it is
// zero or the elements are not finite.
const uint REDUCE_EXPONENT = 4;

HERON_SHARED_END

#endif
