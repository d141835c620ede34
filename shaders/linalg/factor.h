// SPDX-License-Identifier: MIT
// The jobs of the kernels that accumulate Kronecker factors.
#ifndef HERON_LINALG_FACTOR_H
#define HERON_LINALG_FACTOR_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// Where the rows of a come from: a matrix, or the patches of images.
struct FactorRows {
    uint features;     // columns of a without the bias
    uint count;        // rows of one item, in this dispatch
    uint first;        // the first of them
    uint row_stride;   // elements between rows; between images with patches
    uint item_stride;  // elements between items: matrices, or groups of channels
    uint height;       // the rest only with patches
    uint width;
    uint out_height;
    uint out_width;
    uint kernel_y;
    uint kernel_x;
    uint stride_y;
    uint stride_x;
    uint padding_y;
    uint padding_x;
    uint dilation_y;
    uint dilation_x;
};

struct FactorJob {
    U32        from;
    U32        to;         // A; partial sums when rows are split
    FactorRows rows;
    uint       n;
    uint       to_row;     // elements between rows of A
    uint       to_item;    // ... and between its items
    uint       tiles_n;    // tiles as wide as high along a side of A
    uint       tiles;      // workgroups for all tiles on and above the diagonal
    uint       splits;     // of the rows
    uint       split_rows; // rows of all splits but the last
    uint       flags;      // FACTOR_ bits
    float      decay;
    float      weight;     // of a^T a
    uint       first_group;
};

// A from partial sums.
struct FactorFinishJob {
    U32   partials;        // items x splits x n x n
    U32   to;
    uint  n;
    uint  items;
    uint  splits;
    uint  to_row;
    uint  to_item;
    uint  flags;
    float decay;
    float weight;
    uint  reserved;
    uint  first_group;
};

// Means or sums over the positions of a sample, a matrix.
struct FactorReduceJob {
    U32        from;
    U32        to;         // items x samples x features, f32
    FactorRows rows;
    uint       items;
    uint       samples;
    uint       positions;  // of a sample
    uint       begin;      // the first of them in this dispatch; 0 starts a new sum
    uint       count;
    float      weight;     // 1, or 1 / positions; applied to the complete sum
    uint       first_group;
};

const uint FACTOR_HAS_OLD = 2; // decay != 0
const uint FACTOR_PARTIAL = 4; // leaves partial sums

// So many rows are added up at a time, then those sums: products of one sign lose up to half a unit of rounding for each
// row in a plain sum.
const uint FACTOR_SUM_ROWS = 64;

// SPEC_ROWS.
const uint FACTOR_MATRIX = 0;
const uint FACTOR_PATCHES = 1;

HERON_SHARED_END

#endif
