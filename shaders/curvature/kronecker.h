// SPDX-License-Identifier: MIT
// Jobs of the Kronecker factors' kernels. A job is one factor: n x n matrices without gaps. Every one of them goes through
// the elements side by side, a workgroup `rounds` for each invocation: elements i of the diagonal have i % (n + 1) = 0.
#ifndef HERON_CURVATURE_KRONECKER_H
#define HERON_CURVATURE_KRONECKER_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// kronecker_start.comp
struct KroneckerStartJob {
    F32   average;
    F32   whitener;
    uint  order;
    uint  rounds;
    float diagonal; // of the average: 1, or 0
    uint  first_group;
};

// kronecker_average.comp
struct KroneckerAverageJob {
    F32   average;
    F32   statistic;
    F32   unit;      // one float (KRONECKER_HAS_UNIT; else any readable address)
    F32   candidate;
    uint  order;
    uint  rounds;
    float decay;
    float rate;      // 1 - decay, rounded once from double
    float damping;
    uint  flags;     // KRONECKER_
    uint  padding;
    uint  first_group;
};

const uint KRONECKER_UNIT_TRACE = 1;
const uint KRONECKER_HAS_UNIT = 2;

// kronecker_add.comp
struct KroneckerAddJob {
    F32   average;
    F32   statistic;
    F32   unit;      // one float
    uint  order;
    uint  rounds;
    float decay;
    float rate;      // of the statistic
    float unit_value; // the unit, where it is not 0, in place of the tensor's
    uint  first_group;
};

// kronecker_correct.comp
struct KroneckerCorrectJob {
    F32   average;
    F32   correction; // one float
    F32   result;
    uint  order;
    uint  rounds;
    float trace_floor;   // KRONECKER_SCALE_BY_TRACE, with the power of the trace: high + low, high of at most 12 bits
    float exponent_high;
    float exponent_low;
    float damping;       // added to the diagonal
    uint  flags;         // KRONECKER_
    uint  first_group;
};

const uint KRONECKER_SCALE_BY_TRACE = 8;

// kronecker_commit.comp
struct KroneckerCommitJob {
    F32  candidate; // KRONECKER_HAS_CANDIDATE
    F32  root;
    U32  status;    // one word, of what made the root
    F32  average;   // KRONECKER_HAS_CANDIDATE
    F32  whitener;
    U32  failures;  // one word
    uint order;
    uint rounds;
    uint flags;     // KRONECKER_
    uint first_step; // before this step (from 1) roots are dropped; 0: never
    uint padding;
    uint first_group;
};

const uint KRONECKER_HAS_CANDIDATE = 4;

HERON_SHARED_END

#endif
