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
    F32   unit;      // one float (KRONECKER_HAS_UNIT)
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
    uint first_group;
};

const uint KRONECKER_HAS_CANDIDATE = 4;

// kronecker_keep.comp
struct KroneckerKeepJob {
    F32   off_diagonal; // one float: the norm of B without its diagonal
    F32   whole;        // one float: with it
    F32   kept;
    F32   result;
    uint  order;
    uint  rounds;
    float tolerance;
    uint  first_group;
};

// kronecker_blend.comp
struct KroneckerBlendJob {
    F32  average;
    F32  statistic;
    F32  unit;      // one float (KRONECKER_HAS_UNIT)
    F32  rates;     // two floats: decay, 1 - decay
    U32  left_out;  // one word
    uint order;
    uint rounds;
    uint flags;     // KRONECKER_
    uint interval;  // steps between two statistics (KRONECKER_WARM)
    uint padding;
    uint first_group;
};

const uint KRONECKER_WARM = 16;

const uint KRONECKER_FACTORS = 8; // of one product, at most

// kronecker_damp.comp: one factor of a product
struct KroneckerDampJob {
    F32  factor[KRONECKER_FACTORS];
    F32  damping;   // one float
    F32  result;
    F32  level;     // one float: what was added (KRONECKER_LEVEL)
    uint order[KRONECKER_FACTORS];
    uint mean[KRONECKER_FACTORS]; // means of their diagonals are over so many: of a Gram matrix the other order
    uint factors;   // k
    uint index;     // of the factor that is damped
    uint rounds;
    uint scale;     // heron::DampingUnit
    uint split;     // heron::DampingSplit
    float damping_scale; // factor on the damping
    // Exponents as power() takes them: 1 / k, and, k' of the factors being larger than 1 x 1, k / k'.
    float per_factor;
    float per_factor_low;
    float ratio;
    float ratio_low;
    uint flags;     // KRONECKER_
    uint first_group;
};

const uint KRONECKER_LEVEL = 256;
const uint KRONECKER_SCALARS = 512; // all factors are 1 x 1

const uint DAMPING_ABSOLUTE = 0;
const uint DAMPING_TRACE = 1;
const uint DAMPING_MEAN = 2;

const uint SPLIT_FULL = 0;
const uint SPLIT_PI = 1;
const uint SPLIT_PI_NORMALIZED = 2;

// kronecker_basis.comp
struct KroneckerBasisJob {
    F32   vectors;
    F32   values;
    U32   status;   // one word, of eigh()
    F32   basis;
    F32   spectrum;
    U32   failures; // one word
    uint  order;
    uint  rounds;
    float least;    // eigenvalues up to this are 0
    uint  first_group;
};

// kronecker_level.comp
struct KroneckerLevelJob {
    F32  row_values;
    F32  column_values;
    F32  damping;   // one float
    F32  level;     // one float
    uint rows;
    uint cols;
    uint scale;     // DAMPING_
    float damping_scale; // factor on the damping
    uint padding;
    uint first_group;
};

// kronecker_divide.comp
struct KroneckerDivideJob {
    F32  matrix;        // rows x cols
    F32  row_values;
    F32  column_values;
    F32  moments;       // KRONECKER_MOMENTS: rows x cols, in place of products of the values
    F32  level;         // one float
    F32  norm;          // one float, the matrix's
    uint count;
    uint cols;
    uint rounds;
    uint flags;         // KRONECKER_
    uint padding;
    uint first_group;
};

const uint KRONECKER_MOMENTS = 32;

// kronecker_unlevel.comp
struct KroneckerUnlevelJob {
    F32  matrix;
    F32  level0;    // one float (KRONECKER_LEVEL)
    F32  level1;    // another (KRONECKER_LEVEL_TOO)
    uint count;
    uint rounds;
    uint flags;     // KRONECKER_
    uint first_group;
};

const uint KRONECKER_LEVEL_TOO = 512;

// kronecker_moments.comp
struct KroneckerMomentsJob {
    F32  row_parts;    // samples x positions x rows
    F32  column_parts; // samples x positions x cols
    F32  sums;         // rows x cols
    uint rows;
    uint cols;
    uint tiles;        // of 4 columns
    uint first;        // sample of this dispatch; 0 starts the sums
    uint samples;      // so many
    uint positions;
    uint padding;
    uint first_group;
};

// kronecker_square.comp
struct KroneckerSquareJob {
    F32  values;  // in place
    uint count;
    uint rounds;
    uint padding;
    uint first_group;
};

// kronecker_table.comp
struct KroneckerTableJob {
    F32   row_values;    // KRONECKER_RESTART
    F32   column_values;
    F32   sums;          // else
    F32   unit;          // one float (KRONECKER_HAS_UNIT)
    F32   rates;         // two floats: decay, 1 - decay
    F32   moments;       // rows x cols
    uint  count;
    uint  cols;
    uint  rounds;
    float weight;        // of the sums
    uint  flags;         // KRONECKER_
    uint  first_group;
};

const uint KRONECKER_RESTART = 64; // moments are products of the values

HERON_SHARED_END

#endif
