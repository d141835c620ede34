// SPDX-License-Identifier: MIT
// Jobs of the LDL^T kernels.
#ifndef HERON_LINALG_LDLT_H
#define HERON_LINALG_LDLT_H

#include "core/shared.h"

// Memory through which the invocations of a workgroup see each other's results.
#ifdef __cplusplus
HERON_SHARED_BEGIN
using CoherentF32 = std::uint64_t;
HERON_SHARED_END
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) coherent buffer CoherentF32 { float v[]; };
#endif

HERON_SHARED_BEGIN

const uint LDLT_LARGEST = 4096;     // rows
const uint LDLT_LARGEST_SMALL = 96; // rows of a matrix that one workgroup does in one dispatch
const uint LDLT_PANEL = 60;         // columns of a panel; its last pivot may take one more
const uint LDLT_SLOTS = 64;         // columns that there is memory for

const uint LDLT_UPPER = 1; // the upper triangle of A is read
const uint LDLT_HAS_STATUS = 2;

// ldlt.comp: a batch of small matrices.
struct LdltJob {
    U32         a;
    CoherentF32 l; // may be a; the matrix is worked on here
    F32         d; // items of n pairs: diagonal element i, and element (i + 1, i)
    U32         permutation;
    U32         status;
    uint        n;
    uint        a_stride;
    uint        a_item;
    uint        l_stride;
    uint        l_item;
    uint        flags;
    float       tolerance; // a pivot must exceed this times the largest element
    uint        first_group;
};

// Words of a large matrix's state, zero before ldlt_start.comp.
const uint LDLT_STATE_LARGEST = 0;  // bits of the largest magnitude of A: those of infinity or more where it is not finite
const uint LDLT_STATE_NEXT = 1;     // the next pivot
const uint LDLT_STATE_PIVOTS = 2;  // 1: one was too small; 2: one is beyond f32
const uint LDLT_STATE_WORDS = 3;

// ldlt_start.comp: the triangle of A into the upper one of L's memory, a workgroup a tile.
struct LdltStartJob {
    U32  a;
    F32  l; // may be a
    U32  permutation;
    U32  state;
    uint n;
    uint a_stride;
    uint a_item;
    uint l_stride;
    uint l_item;
    uint flags;
    uint reserved;
    uint first_group;
};

// ldlt_panel.comp: pivots `begin` to begin + LDLT_PANEL, and one more where the last is a block of two. Column c of the panel is
// column begin + c of the matrix.
struct LdltPanelJob {
    CoherentF32 w; // L's memory: above the diagonal what is left of A, below it L
    F32         d;
    U32         permutation;
    U32         state;
    CoherentF32 l_panel;  // items of LDLT_SLOTS rows of n: the panel's columns of L, zero where there are none
    CoherentF32 ld_panel; // the same of L D
    uint        n;
    uint        begin;
    uint        w_stride;
    uint        w_item;
    float       tolerance; // as above
    uint        first_group;
};

// ldlt_finish.comp: L's diagonal and what is above it, zeros for what could not be factored, statuses.
struct LdltFinishJob {
    F32  l;
    F32  d;
    U32  state;
    U32  status;
    uint n;
    uint l_stride;
    uint l_item;
    uint flags;
    uint groups; // workgroups of one item
    uint first_group;
};

// SPEC_LDLT_STEP.
const uint LDLT_GATHER = 0;      // X = P B
const uint LDLT_DIVIDE = 1;      // X = D^-1 B, zero where D is singular
const uint LDLT_SCATTER = 2;     // X = P^T B
const uint LDLT_PERMUTATION = 3; // X = P, no B

struct LdltRowsJob {
    U32  b;
    F32  x;
    F32  d;           // LDLT_DIVIDE
    U32  permutation; // the others
    U32  status;      // LDLT_DIVIDE, valid with LDLT_HAS_STATUS
    uint n;
    uint columns;
    uint factor_item; // 1, or 0 where one factor serves all items
    uint b_stride;
    uint b_item;
    uint x_stride;
    uint x_item;
    uint flags;
    uint groups; // workgroups of one item
    uint first_group;
};

HERON_SHARED_END

#endif
