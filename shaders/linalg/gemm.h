// SPDX-License-Identifier: MIT
// The job of every GEMM kernel: D = alpha op(A) op(B) + beta C for each item of a batch.
#ifndef HERON_LINALG_GEMM_H
#define HERON_LINALG_GEMM_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct GemmJob {
    U32   a;
    U32   b;
    U32   c;           // valid only with GEMM_HAS_C
    U32   d;
    U32   active_items; // with GEMM_ACTIVE
    F32   squares;     // with PRODUCT_SQUARES: of each row of D its sum of squares over the columns of a tile, or of a part
                       // of one; items x m x parts of a row
    U32x4 a_fours;     // with GEMM_A_FOURS: a and b again
    U32x4 b_fours;     // with GEMM_B_FOURS
    uint  m;           // rows of D
    uint  n;           // columns of D
    uint  k;           // at least 1
    uint  a_row;       // elements from op(A)[i][k] to op(A)[i + 1][k]; transposed operands have these two exchanged
    uint  a_col;       // ... to op(A)[i][k + 1]
    uint  b_row;       // elements from op(B)[k][j] to op(B)[k + 1][j]
    uint  b_col;
    uint  c_row;       // elements between the rows of C and D, whose columns are adjacent
    uint  d_row;
    uint  a_batch;     // elements between the items of a batch; 0 for one matrix that serves all of them
    uint  b_batch;
    uint  c_batch;
    uint  d_batch;
    uint  flags;       // GEMM_ bits
    float alpha;
    float beta;
    uint  tiles_m;     // workgroups along the rows of one item
    uint  tiles_n;
    uint  tiles;       // workgroups of one item
    uint  items;       // gemm_small: of the batch
    uint  items_group; // gemm_small: of a workgroup
    uint  first_group;
};

const uint GEMM_HAS_C = 1;     // beta != 0
const uint GEMM_SYMMETRIC = 2; // only tiles on or above the diagonal; what is above it is stored below it too
const uint GEMM_D_PAIRS = 4;   // elements of D with an even column share a word with the next one, in every row
const uint GEMM_ACTIVE = 8;    // items whose word of `active_items` is 0 are left as they are (linalg/active.glsl)
// gemm_tiled_16bit: rows of the operand are k, and they all begin at a multiple of 16 bytes.
const uint GEMM_A_FOURS = 16;
const uint GEMM_B_FOURS = 64;

// CPU variants add up so many products at a time, then those sums, for the sake of accuracy: products of one sign lose up to
// k/2 units of rounding in a plain sum. A multiple of PANEL_STEP. (GPU variants have no registers to spare for it.)
const uint SUM_PIECE = 64;

// gemm_small: whole matrices of up to SMALL_THREADS blocks of 4 x 4 elements, SMALL_SIDE rows and columns; one invocation a
// block. Of the lines of A and B (rows of op(A), columns of op(B), filled up to fours) a workgroup has SMALL_LINES at most.
const uint SMALL_THREADS = 128;
const uint SMALL_SIDE = 128;
const uint SMALL_LINES = 524;

// gemm_packed multiplies panels, which gemm_pack makes of the operands: lines (rows of op(A), columns of op(B)) side by
// side, PANEL_ROWS of A, PANEL_COLS times the subgroup size of B, with all their k, the lines of one k in a row; zeros after
// the last line and the last k. A job of gemm_packed has panels in a and b, whose strides count steps: a_row and b_row from
// panel to panel, the batch strides from item to item. Its k is a multiple of PANEL_STEP; a_col and b_col are not used.
// With PRODUCT_ROWS A has no panels: it is f32, its rows are k, and all strides are multiples of PANEL_STEP; a_row then counts
// steps from row to row.
const uint PANEL_ROWS = 12;
const uint PANEL_COLS = 2;
const uint PANEL_STEP = 16;

// gemm_coopmat2: one cooperative matrix of sums a workgroup.
const uint WORKGROUP_THREADS = 256;
const uint WORKGROUP_ROWS = 64;
const uint WORKGROUP_COLS = 128;
const uint WORKGROUP_STEP = 64; // of k

struct GemmPackJob {
    U32   x;
    F32   panels;
    U32   active_items; // as in GemmJob
    uint  lines;
    uint  k;
    uint  x_line;      // elements from one line to the next
    uint  x_k;         // ... from one k to the next
    uint  x_batch;
    uint  width;       // lines of a panel
    uint  flags;       // PACK_COLUMNS, GEMM_ACTIVE
    uint  panels_item; // panels of one item
    uint  padded_k;
    uint  chunks;      // workgroups of one panel
    uint  reserved;
    uint  first_group;
};

const uint PACK_COLUMNS = 32;  // of B: each invocation of gemm_packed has PANEL_COLS neighbours, the first of all come first
const uint PACK_CHUNK = 128;   // k of a workgroup

// Sums the products of pieces of k: D = alpha sum_s P[s][item] + beta C.
struct GemmCombineJob {
    F32   partial;     // pieces x items x m x n, contiguous
    U32   c;           // valid only with GEMM_HAS_C
    U32   d;
    U32   active_items; // as in GemmJob
    uint  m;
    uint  n;
    uint  pieces;
    uint  c_row;       // elements between rows, and between items, as in GemmJob
    uint  d_row;
    uint  c_batch;
    uint  d_batch;
    uint  flags;       // GEMM_ bits
    float alpha;
    float beta;
    uint  pairs;       // items m ceil(n / 2)
    uint  per_thread;  // pairs
    uint  piece;       // items m n
    uint  first_group;
};

HERON_SHARED_END

#endif
