// SPDX-License-Identifier: MIT
// The job of the conversion kernel: to = scale * from.
#ifndef HERON_LINALG_CONVERT_H
#define HERON_LINALG_CONVERT_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct ConvertJob {
    U32   from;        // not valid with CONVERT_ZERO
    U32   to;
    uint  rows;        // contiguous tensors are one row
    uint  cols;
    uint  from_rows;   // rows of `from`, repeated as often as needed
    uint  from_stride; // elements between rows
    uint  to_stride;
    uint  flags;       // CONVERT_ bits
    float scale;
    uint  first_group;
};

const uint CONVERT_SCALE = 1; // without it the value passes untouched
const uint CONVERT_ZERO = 2;  // zeros, whatever `from` is
const uint CONVERT_PAIRS = 4; // elements of `to` with an even column share a word with the next one, in every row

HERON_SHARED_END

#endif
