// SPDX-License-Identifier: MIT
// Jobs that turn columns into an ordered spectrum: the last steps of eigh and svd.
#ifndef HERON_LINALG_SPECTRUM_H
#define HERON_LINALG_SPECTRUM_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// d_c = sum over r of x_rc y_rc: Rayleigh quotients of many columns, or squared norms.
struct SpectrumColumnsJob {
    F32  x;
    F32  y;
    F32  d;
    uint rows;
    uint cols;
    uint stride; // of x and y
    uint item;
    uint chunks; // workgroups of a matrix
    uint first_group;
};

// d_c = v_c^T X v_c / v_c^T v_c, as if in twice the digits.
struct SpectrumQuotientsJob {
    F32  x; // order x order, symmetric, as v; without gaps
    F32  v;
    F32  d;
    uint order;
    uint first_group;
};

// Sorts, undoes the scale, and reports the status.
struct SpectrumOrderJob {
    F32  d;
    U32  state;  // JACOBI_ words
    F32  values; // result, in order
    F32  sorted; // the same before the scale is undone
    U32  order;  // order[i]: the column that became the i-th
    U32  status; // one word a matrix
    uint count;
    uint flags;  // ORDER_
    uint rank_scale; // ORDER_SQUARED: the larger extent of the matrix
    uint chunks;
    uint reserved;
    uint first_group;
};
const uint ORDER_SQUARED = 1;    // d holds squares: largest first, roots are reported, and rank deficiency is a status
const uint ORDER_HAS_STATUS = 2;

// y_ri = x_r,order[i].
struct SpectrumGatherJob {
    F32  x;
    U32  order;
    F32  sorted;
    F32  y;
    uint rows; // of x that are kept
    uint cols; // columns that are kept
    uint x_stride;
    uint x_item;
    uint order_item;
    uint y_stride;
    uint y_item;
    uint flags; // GATHER_
    uint rank_scale;
    uint chunks;
    uint reserved;
    uint first_group;
};
const uint GATHER_TRANSPOSED = 1; // y has the columns as rows
const uint GATHER_NORMALIZED = 2;  // divided by sorted[i]; zero where that is beyond the numerical rank
const uint GATHER_WITHIN_RANK = 4; // zero there

HERON_SHARED_END

#endif
