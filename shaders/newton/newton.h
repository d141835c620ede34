// SPDX-License-Identifier: MIT
// Jobs of the Gauss-Newton and Newton steps (heron/newton.hpp).
#ifndef HERON_NEWTON_NEWTON_H
#define HERON_NEWTON_NEWTON_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// heron::PredictionLoss.
const uint LOSS_SQUARED_ERROR = 0;
const uint LOSS_SOFTMAX = 1;
const uint LOSS_SIGMOID = 2;

// Flags of several jobs.
const uint NEWTON_HAS_SYSTEM = 1;   // roots and rhs are wanted
const uint NEWTON_HAS_RESIDUAL = 2; // the caller wants r
const uint NEWTON_HAS_STATUS = 4;
const uint NEWTON_HAS_VELOCITY = 8;
const uint NEWTON_IN_PLACE = 16;    // the diagonal alone, plus one

struct GaussNewtonSamplesJob {
    F32  predictions; // samples x outputs, as all below
    F32  targets;
    F32  lambda;
    F32  probabilities; // of the loss; of squared error nothing
    F32  roots;         // of the diagonal of S
    F32  rhs;           // q / sqrt(b lambda), S q = r
    F32  residual;      // r
    uint samples;
    uint outputs;
    uint loss;
    uint flags;
    uint reserved;
    uint first_group;
};

struct GaussNewtonRowsJob {
    U32  jacobian; // samples outputs x columns
    F32  lambda;
    F32  probabilities;
    F32  roots;
    F32  rows; // V, without gaps
    uint samples;
    uint outputs;
    uint columns;
    uint stride; // of the Jacobian
    uint loss;
    uint blocks; // workgroups of a sample
    uint reserved;
    uint first_group;
};

struct GaussNewtonModelJob {
    F32  along; // J s
    F32  probabilities;
    F32  residual;
    F32  model;
    uint samples;
    uint outputs;
    uint loss;
    uint first_group;
};

// result = matrix + lambda I, or in place + I. An element of rhs that is not finite, or lambda, makes the diagonal so.
struct NewtonDiagonalJob {
    F32  matrix;
    F32  lambda;
    F32  rhs;
    F32  result;
    uint order;
    uint flags;
    uint reserved;
    uint first_group;
};

struct NewtonResidualJob {
    F32  rhs;
    F32  solution;
    F32  product; // V V^T solution
    F32  residual;
    uint count;
    uint first_group;
};

struct NewtonAverageJob {
    F32   average;
    F32   direction;
    F32   weight; // 1 - momentum^t
    uint  count;  // 0: the weight's own step
    float momentum;
    uint  reserved;
    uint  first_group;
};

struct NewtonUpdateJob {
    U32   weights;
    F32   direction;
    F32   alpha;
    F32   velocity;
    U32   status;
    U32   result;
    uint  count;
    uint  flags;
    float momentum;
    uint  first_group;
};

struct NewtonEigenJob {
    F32  values;
    F32  lambda;
    F32  coefficients; // V^T g; becomes -(values + lambda)^-1 of it
    U32  status;
    uint order;
    uint flags;
    uint reserved;
    uint first_group;
};

HERON_SHARED_END

#ifndef __cplusplus
// Of V and its right-hand side; 0 for a lambda that is none.
float damping_scale(uint samples, float lambda) {
    return lambda > 0.0 && lambda < 3e38 ? inversesqrt(float(samples) * lambda) : 0.0;
}
#endif

#endif
