// SPDX-License-Identifier: MIT
// The jobs of the kernels for norms of lines (rows or columns), and for scaling lines.
#ifndef HERON_LINALG_NORMS_H
#define HERON_LINALG_NORMS_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct LineNormsJob {
    U32  from;
    U32  to;
    U32  maxima;         // NORM_POWER: the largest magnitude of every line, f32; else any address
    uint lines;          // of one item of the batch
    uint extent;         // elements (or partial results) of a line
    uint line_stride;    // elements (or partial results) from line to line
    uint element_stride; // ... from element to element of a line
    uint item_stride;    // ... from item to item
    uint lanes;          // invocations that share a line, a power of two
    uint line_groups;    // workgroups across the lines of an item
    uint chunks;         // workgroups along a line; with 1 the result is final
    uint partial;        // 1: `from` holds partial results, three words each
    float exponent;      // NORM_POWER
    uint reserved;
    uint first_group;
};

struct ScaleLinesJob {
    U32   from;
    U32   factors;
    U32   to;
    uint  rows;         // of all items together
    uint  cols;
    uint  from_stride;
    uint  to_stride;
    uint  lines;        // factors of one item
    uint  item_rows;    // rows of one item
    uint  factor_items; // 1: one set of factors for all items
    uint  flags;        // SCALE_ bits
    float eps;
    float scale;
    uint  reserved;
    uint  first_group;
};

const uint SCALE_COLUMNS = 1; // factors belong to columns
const uint SCALE_PAIRS = 2;   // an even column shares its word of `to` with the next one, in every row
const uint SCALE_DIVIDE = 4;  // by max(factor, eps)
const uint SCALE_ADD = 8;     // ... or by factor + eps

// SPEC_NORM of the norms: heron::NormKind, and powers.
const uint NORM_TWO = 0;
const uint NORM_SQUARED = 1;
const uint NORM_ONE = 2;
const uint NORM_INFINITY = 3;
const uint NORM_POWER = 4;

HERON_SHARED_END

#endif
