// SPDX-License-Identifier: MIT
// Jobs that bring symmetric matrices to tridiagonal form, T = Q^T A Q, and back (Golub and Van Loan, 8.3.1; the blocked form:
// Dongarra, Sorensen and Hammarling 1989).
//
// Column j is annihilated below its subdiagonal by H_j = I - tau v v^T, whose v begins with a one in row j + 1. Within a panel of
// TRIDIAGONAL_PANEL columns A stays as it was; what the columns before would have made of it stands in Z = [V W] and
// Z' = [W V], A - V W^T - W V^T = A - Z Z'^T. For each column:
//
//   column_sums          p = A v and Z^T v, in pieces of some rows
//   tridiagonal_correct  p <- p - Z' (Z^T v), and the next column of A - Z Z'^T
//   tridiagonal_column   w = tau (p - tau (p . v) v / 2), with which that column is complete, and its v and tau
#ifndef HERON_LINALG_TRIDIAGONAL_H
#define HERON_LINALG_TRIDIAGONAL_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint TRIDIAGONAL_PANEL = 32;
const uint REFLECTORS = 128; // that are applied together on the way back

// y_c = sum of x_rc v_r over some rows r: a piece of X^T v.
struct ColumnSumsJob {
    F32  x;
    F32  v;
    F32  y;       // piece after piece
    uint rows;
    uint cols;
    uint x_first; // element of the first row and column
    uint x_stride;
    uint x_item;
    uint v_first;
    uint v_item;
    uint y_first;
    uint y_piece; // elements between pieces
    uint y_item;
    uint pieces;
    uint piece_rows;
    uint groups;  // workgroups of a piece
    uint first_group;
};

struct TridiagonalCorrectJob {
    F32  a;
    F32  z;
    F32  z_swapped; // Z'
    F32  sums;      // pieces of A v
    F32  inner;     // pieces of Z^T v, where columns came before
    F32  product;   // p
    F32  next;      // column `column` + 1
    uint order;     // of the matrix
    uint size;      // of the matrix as it is stored
    uint column;
    uint done;      // columns of the panel before this one
    uint pieces;
    uint most_pieces; // that there is room for
    uint groups;    // workgroups of a matrix
    uint flags;     // TRIDIAGONAL_NEXT
    uint reserved;
    uint first_group;
};

struct TridiagonalColumnJob {
    F32  a;        // its column `column` where nothing came before it in the panel
    F32  v_all;    // V of all columns, for the way back; zero above each v from its block of REFLECTORS on
    F32  z;
    F32  z_swapped;
    F32  next;     // scratch
    F32  product;
    F32  v;        // of the column before; becomes that of this column
    F32  tau;      // `size` of each matrix
    F32  diagonal; // the same, with zeros from `order` on
    F32  off_diagonal;
    uint order;
    uint size;
    uint column;
    uint done;     // columns of the panel before this one
    uint flags;    // TRIDIAGONAL_
    uint first_group;
};
const uint TRIDIAGONAL_PREVIOUS = 1; // there is a w of the column before to be made
const uint TRIDIAGONAL_NEXT = 2;     // there is a column to be made

// T of REFLECTORS or fewer: H_1 ... H_w = I - V T V^T.
struct ReflectorsJob {
    F32  gram; // V^T V
    F32  tau;
    F32  t;    // zero below the diagonal
    uint width;
    uint tau_first;
    uint tau_item;
    uint groups; // workgroups of a matrix
    uint reserved;
    uint first_group;
};

// The tridiagonal matrix in `size` / `leaf` parts of which each can be solved alone: S_b = T_b less the |e| that its ends have in
// common with their neighbours (secular.h).
struct TridiagonalSplitJob {
    F32  diagonal;
    F32  off_diagonal;
    F32  parts; // leaf x leaf each
    uint size;
    uint leaf;
    uint chunks;
    uint first_group;
};

HERON_SHARED_END

#endif
