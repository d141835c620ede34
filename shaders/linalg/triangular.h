// SPDX-License-Identifier: MIT
// Jobs of the triangular kernels.
#ifndef HERON_LINALG_TRIANGULAR_H
#define HERON_LINALG_TRIANGULAR_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint TRIANGULAR_UNIT = 1;         // ones stand for the diagonal
const uint TRIANGULAR_IDENTITY = 2;     // B is the identity and not read
const uint TRIANGULAR_READS_STATUS = 4; // zeros where status says that T cannot be divided by; otherwise this job finds out
const uint TRIANGULAR_HAS_STATUS = 8;   // and writes it

// Rows of a diagonal block. A multiple of the subgroups of CPU drivers, and of two, so that blocks of 16-bit matrices begin at
// whole words.
const uint TRIANGULAR_BLOCK = 64;

// triangular_solve.comp and triangular_cpu.comp: T x = alpha b for each column, up to TRIANGULAR_BLOCK rows, in the order of a
// lower triangle: an upper one is given by its last element and negative (wrapped) distances, a transposed one or one on the
// right side by exchanged distances.
struct TriangularSolveJob {
    U32   t;
    U32   b;
    F32   x; // may be b
    U32   status;
    uint  n;
    uint  columns;
    uint  t_first; // index of element (0, 0)
    uint  t_row;   // elements to the next row
    uint  t_col;
    uint  t_item;
    uint  b_first;
    uint  b_row;
    uint  b_col;
    uint  b_item;
    uint  x_first;
    uint  x_row;
    uint  x_col;
    uint  x_item;
    uint  flags;
    uint  groups; // workgroups of one item
    float alpha;
    uint  first_group;
};

// The status of each T, from its diagonal.
struct TriangularStatusJob {
    U32  t;
    U32  status;
    uint n;
    uint t_step; // elements between two diagonal elements
    uint t_item;
    uint flags;
    uint reserved;
    uint first_group;
};

HERON_SHARED_END

#endif
