// SPDX-License-Identifier: MIT
// Jobs of the Cholesky kernels.
#ifndef HERON_LINALG_CHOLESKY_H
#define HERON_LINALG_CHOLESKY_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint CHOLESKY_UPPER = 1; // the factor is U of A = U^T U, and the upper triangle of A is read
const uint CHOLESKY_HAS_STATUS = 2;
const uint CHOLESKY_HAS_JITTER = 4;
const uint CHOLESKY_IS_BLOCK = 8;     // of a larger matrix; CPU drivers only
const uint CHOLESKY_ONE_TRIANGLE = 16; // of W: what is on and above its diagonal
const uint CHOLESKY_HAS_ACTIVE = 32;   // matrices whose word is 0 are left as they are

const uint CHOLESKY_LARGEST_SMALL = 88; // rows whose triangle and diagonal fit 16 KiB
const uint CHOLESKY_LARGEST_CPU = 128;  // rows that fit the memory of a CPU driver's subgroup
const uint CHOLESKY_PANEL = 32;         // columns of a panel
const uint CHOLESKY_PANEL_ROWS = 64;    // rows below the diagonal block that a workgroup does

// cholesky_workgroup.comp and cholesky_cpu.comp: a batch of small matrices.
//
// With CHOLESKY_IS_BLOCK it is a diagonal block of each, of whose W what is on and above the diagonal is read. Pivots are
// compared with `diagonal`, then, and `state_count` words of `states` (see CholeskyPanelJob) from number `state` of the item
// on are set; where the word before them says that the attempt has failed, it has failed here, too.
struct CholeskyJob {
    U32   a;
    F32   l;      // may be a
    U32   status; // valid with CHOLESKY_HAS_STATUS
    F32   jitter; // valid with CHOLESKY_HAS_JITTER
    F32   diagonal; // of the block; valid with CHOLESKY_IS_BLOCK, as what is named state
    U32   states;
    U32   active_items; // valid with CHOLESKY_HAS_ACTIVE
    uint  n;
    uint  a_first; // element
    uint  a_stride;
    uint  a_item; // elements between the matrices of a batch
    uint  l_first;
    uint  l_stride;
    uint  l_item;
    uint  diagonal_first;
    uint  diagonal_item;
    uint  state;
    uint  state_count;
    uint  state_item;
    uint  flags;
    uint  retries;
    float absolute; // jitter of the first retry: absolute + relative * mean of the diagonal
    float relative;
    float tolerance; // a pivot must exceed this times its diagonal element
    uint  first_group;
};

// cholesky_start.comp: the full symmetric matrix that the blocked form works on, and its diagonal.
struct CholeskyStartJob {
    U32  a;
    F32  w;        // items of n rows of n elements
    F32  diagonal; // items of n elements
    U32  nonfinite; // for each item, zero before; then 1 where something is not finite
    U32  active_items;
    uint n;
    uint a_stride;
    uint a_item;
    uint flags;
    uint reserved;
    uint first_group;
};

// cholesky_panel.comp: columns [first, first + CHOLESKY_PANEL) of the factor.
//
// Each item has one word for each attempt and panel in `states`: 1 when the attempt has failed up to and with that panel.
struct CholeskyPanelJob {
    F32   w;
    F32   l;
    F32   diagonal;
    U32   states;
    U32   active_items;
    uint  n;
    uint  l_row; // elements from a row of the lower factor to the next, also where it is stored as its transpose
    uint  l_col;
    uint  l_item;
    uint  begin; // columns before it have already been subtracted from w
    uint  first;
    uint  attempt;
    uint  attempts;
    float absolute; // of this attempt
    float relative;
    float tolerance;
    uint  groups; // workgroups of one item
    uint  flags;
    uint  first_group;
};

// cholesky_finish.comp: zeros outside of the triangle, zeros everywhere where all attempts failed, statuses.
struct CholeskyFinishJob {
    F32   l;
    F32   diagonal;
    U32   states;
    U32   nonfinite; // for each item
    U32   status;
    F32   jitter;
    U32   active_items;
    uint  n;
    uint  l_stride;
    uint  l_item;
    uint  flags;
    uint  attempts;
    uint  panels;
    float absolute; // of the first retry
    float relative;
    uint  groups;
    uint  first_group;
};

// log_determinant.comp
struct LogDeterminantJob {
    F32  l;
    F32  result;
    uint n;
    uint step; // elements between two diagonal elements
    uint item;
    uint first_group;
};

HERON_SHARED_END

#endif
