// SPDX-License-Identifier: MIT
// Jobs and hyperparameters of Shampoo's element-wise kernels. A job is one parameter.
#ifndef HERON_OPTIM_SHAMPOO_H
#define HERON_OPTIM_SHAMPOO_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct ShampooHyper {
    float lr;
    float weight_decay;
    float moment_scale; // 1 / (1 - beta1^t), or 1; with SHAMPOO_WAITS here and below t - 1 in place of t, at least 1
    float graft_scale;  // of the graft's second moment: 1 / (1 - beta^t) for Adam, else 1
    float factor_scale; // of the factors: 1 / (1 - beta2^n) after n statistics, or 1
    float basis_scale;  // of the moment in their basis: 1 / (1 - beta2^t), or 1
};

#ifdef __cplusplus
using ShampooHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer ShampooHyperRef { ShampooHyper h; };
#endif

// What the factors see of a gradient: sums of squares of the largest ones stay in range.
const float SHAMPOO_STATISTIC_UNIT = 1048576.0f; // 2^20

// shampoo_moments.comp
struct ShampooMomentsJob {
    ParameterOperand parameter; // SHAMPOO_L2; only read
    GradientOperand  gradient;
    MomentOperand    moment;    // m (SHAMPOO_FILTERS)
    MomentOperand    square;    // v (SHAMPOO_SQUARES)
    F32x4            scaled;    // G / SHAMPOO_STATISTIC_UNIT
    F32x4            filtered;  // the first moment that is preconditioned
    F32x4            grafted;   // and what the graft makes of it (SHAMPOO_SQUARES)
    ShampooHyperRef  hyper;
    ElementRange     range;
    float            rate1;       // 1 - beta1
    float            rate3;       // 1 - beta3
    float            share;       // beta3 / beta1
    float            rest;        // 1 - share
    float            square_rate; // v loses this share, and takes it, or with SHAMPOO_SUM all, of the square
    float            graft_eps;
    uint             flags;       // SHAMPOO_
    uint             first_group;
};

// shampoo_update.comp
struct ShampooUpdateJob {
    ParameterOperand parameter;
    F32x4            direction;
    F32x4            grafted;    // in steps before `start`, in place of the direction (SHAMPOO_GRAFTS)
    MomentOperand    velocity;   // SHAMPOO_MOMENTUM
    ShampooHyperRef  hyper;
    ElementRange     range;
    float            momentum;
    float            rate;       // 1 - dampening
    uint             start;
    uint             flags;      // SHAMPOO_
    uint             padding;
    uint             first_group;
};

// shampoo_basis.comp: one block
struct ShampooBasisJob {
    F32x4           gradient; // G / SHAMPOO_STATISTIC_UNIT in the basis
    F32x4           filtered; // in the basis, too
    MomentOperand   moment;   // of the squares
    ShampooHyperRef hyper;
    ElementRange    range;
    float           decay;
    float           rate;     // of the square
    float           eps;
    float           exponent_high; // of the moment: high + low, high of at most 12 bits
    float           exponent_low;
    uint            first_group;
};

const uint SHAMPOO_L2 = 1;       // the gradient takes the weight decay
const uint SHAMPOO_FILTERS = 2;
const uint SHAMPOO_SQUARES = 4;
const uint SHAMPOO_SUM = 8;      // of squares, unweighted
const uint SHAMPOO_GRAFTS = 16;
const uint SHAMPOO_MOMENTUM = 32;
const uint SHAMPOO_NESTEROV = 64;
const uint SHAMPOO_WAITS = 128;  // m and v stay as they are in the first step

HERON_SHARED_END

#endif
