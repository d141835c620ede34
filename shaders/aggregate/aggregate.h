// SPDX-License-Identifier: MIT
// Jobs of the aggregators of gradients. A Jacobian is a list of parts, one for each parameter: k rows, one for each objective.
#ifndef HERON_AGGREGATE_AGGREGATE_H
#define HERON_AGGREGATE_AGGREGATE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint AGGREGATE_LARGEST = 128; // objectives: an invocation each, in the small problems
const uint AGGREGATE_TILE = 8;      // rows and columns of the Gram matrix that a workgroup does

// Flags of several jobs.
const uint AGGREGATE_HAS_PREFERENCE = 1;
const uint AGGREGATE_HAS_WEIGHTS = 2;
const uint AGGREGATE_HAS_STATUS = 4;
const uint AGGREGATE_HAS_RESIDUAL = 8;
const uint AGGREGATE_JOINT = 16; // one problem with all bounds; else one for each of them

// aggregate_gram.comp: sums of products over one chunk of one part.
struct AggregateGramJob {
    U32  rows;
    F32  partials; // for each chunk and tile TILE x TILE
    uint n;
    uint stride;
    uint objectives;
    uint tiles;        // workgroups of a chunk
    uint chunk_length; // elements
    uint first_group;
};

// aggregate_gram_sum.comp: a workgroup for each row of each tile.
struct AggregateGramSumJob {
    F32  partials;
    F32  gram; // k x k
    uint objectives;
    uint chunks; // of all parts
    uint reserved;
    uint first_group;
};

// aggregate_dual.comp: a workgroup for each problem.
struct AggregateDualJob {
    F32   gram;
    F32   preference;
    F32   tableau;   // 2 k k for each problem: the high parts, then the low ones; column-major
    F32   solutions; // k for each problem
    U32   verdicts;  // STATUS_ and the residual's bits for each problem
    uint  objectives;
    uint  flags;
    float norm_eps;
    float regularization;
    float each; // preference without a tensor of them
    uint  first_group;
};

// aggregate_weights.comp: sums of the problems' solutions, the worst of their verdicts.
struct AggregateWeightsJob {
    F32  solutions;
    U32  verdicts;
    F32  weights;
    U32  status;
    F32  residual;
    uint objectives;
    uint problems;
    uint flags;
    uint first_group;
};

// aggregate_min_norm.comp
struct AggregateMinNormJob {
    F32   gram;
    F32   weights;
    U32   status;
    F32   residual;
    uint  objectives;
    uint  iterations;
    float epsilon;
    uint  flags;
    uint  reserved;
    uint  first_group;
};

// aggregate_combine.comp: pairs of elements.
struct AggregateCombineJob {
    U32   rows;
    F32   weights;
    U32   gradient;
    uint  n;
    uint  stride;
    uint  objectives;
    uint  flags;
    float weight; // of all rows, where there are no weights
    uint  first_group;
};

HERON_SHARED_END

#endif
