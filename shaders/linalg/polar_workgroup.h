// SPDX-License-Identifier: MIT
// Job of polar_workgroup.comp: a batch of small matrices of one shape.
#ifndef HERON_LINALG_POLAR_WORKGROUP_H
#define HERON_LINALG_POLAR_WORKGROUP_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint POLAR_MAX_ITERATIONS = 16; // of one dispatch; longer lists take several

const uint POLAR_NORM_NONE = 0;    // the input is the first iterate
const uint POLAR_NORM_ADDED = 1;   // nu = factor norm + eps
const uint POLAR_NORM_CLAMPED = 2; // nu = max(factor norm, eps)

// Flags.
const uint POLAR_ROW_SQUARES = 1;
const uint POLAR_WORKGROUP_STATUS = 2; // there is one for each matrix; not with POLAR_NORM_NONE

// Matrices of the batch lie `..._item` elements apart; one workgroup each.
struct PolarWorkgroupJob {
    U32   x;
    U32   result;      // may be x
    F32   row_squares; // sums of squares of the result's rows, without gaps (POLAR_ROW_SQUARES)
    U32   status;
    uint  rows;
    uint  cols;
    uint  x_stride;
    uint  x_item;
    uint  x_dtype;
    uint  result_stride;
    uint  result_item;
    uint  result_dtype;
    uint  norm_rule;
    float norm_factor;
    float eps;
    uint  strip_width; // tile columns of X that are computed between two barriers
    uint  splits;      // invocations that share the sum of a tile of S; behind S they need room for their sums
    uint  iterations;
    float coefficients[48]; // a, b, c of each iteration
    uint  flags;
    uint  first_group;
};

HERON_SHARED_END

#endif
