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

const uint LDLT_LARGEST = 1024; // rows: two columns are kept in shared memory

const uint LDLT_UPPER = 1; // the upper triangle of A is read
const uint LDLT_HAS_STATUS = 2;
const uint LDLT_FIRST = 4; // copies A
const uint LDLT_LAST = 8;  // cleans up and writes the status

// Words of a matrix's state between the dispatches that work on it.
const uint LDLT_STATE_NEXT = 0;     // the next pivot
const uint LDLT_STATE_STATUS = 1;   // STATUS_
const uint LDLT_STATE_LEAST = 2;    // bits of what a pivot must exceed
const uint LDLT_STATE_WORDS = 3;

// ldlt.comp
struct LdltJob {
    U32         a;
    CoherentF32 l; // may be a; the matrix is worked on here
    F32         d; // items of n pairs: diagonal element i, and element (i + 1, i)
    U32         permutation;
    U32         status;
    U32         state;
    uint        n;
    uint        end; // no pivot from here on
    uint        a_stride;
    uint        a_item;
    uint        l_stride;
    uint        l_item;
    uint        flags;
    float       tolerance; // a pivot must exceed this times the largest element
    uint        reserved;
    uint        first_group;
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
