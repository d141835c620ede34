// SPDX-License-Identifier: MIT
// Jobs of 4-bit Shampoo's kernels. A job is one side of a block, or one parameter (the graft).
#ifndef HERON_OPTIM_SHAMPOO4BIT_H
#define HERON_OPTIM_SHAMPOO4BIT_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

// shampoo4bit_values.comp
struct Shampoo4BitValuesJob {
    F32   basis;   // Q, n x n without gaps, one vector a column
    F32   product; // A Q
    U32   status;  // of Q
    F32   values;
    uint  order;
    float start;   // SHAMPOO4BIT_START: all values
    uint  flags;   // SHAMPOO4BIT_
    uint  first_group;
};

// shampoo4bit_weights.comp
struct Shampoo4BitWeightsJob {
    F32   values;
    F32   weights; // (e + epsilon max e)^(-1/8)
    U32   status;  // one word: ok; singular; nonfinite
    uint  order;
    float epsilon;
    uint  padding;
    uint  first_group;
};

// shampoo4bit_ridge.comp
struct Shampoo4BitRidgeJob {
    F32   matrix; // n x n without gaps
    F32   value;  // one float
    U32   errors; // SHAMPOO4BIT_ERRORS words, which become 0
    uint  order;
    float epsilon;
    uint  padding;
    uint  first_group;
};

// shampoo4bit_newton.comp
struct Shampoo4BitNewtonJob {
    F32  a;           // iteration 0
    F32  norm;        // its Frobenius norm
    F32  m;           // M_k
    F32  t;           // T_k
    F32  x;           // X_(k-1); written in iteration 0
    F32  result;
    U32  errors;      // e_0, e_1, ...
    U32  active_word; // whether products of the next iteration matter
    U32  status;      // iteration 0
    uint order;
    uint iteration;   // k
    uint rounds;
    uint flags;       // SHAMPOO4BIT_LAST
    uint padding;
    uint first_group;
};

const uint SHAMPOO4BIT_ITERATIONS = 10;
const uint SHAMPOO4BIT_ERRORS = 12;

// shampoo4bit_graft.comp
struct Shampoo4BitGraftJob {
    F32x4        gradient;       // in units of `unit`
    F32x4        direction;      // X_L G X_R, in the same; of a vector the gradient itself
    F32          unit;
    F32          gradient_norm;  // of `gradient`
    F32          direction_norm;
    ElementRange range;
    uint         start;          // before this step the direction is the gradient
    uint         first_group;
};

const uint SHAMPOO4BIT_START = 1;
const uint SHAMPOO4BIT_LAST = 2; // there is no M_k any more

HERON_SHARED_END

#endif
