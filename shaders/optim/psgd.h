// SPDX-License-Identifier: MIT
// Jobs of PSGD's kernels (Kronecker factors). A factor belongs to one axis of a parameter: a matrix Q of that order, or
// its diagonal.
#ifndef HERON_OPTIM_PSGD_H
#define HERON_OPTIM_PSGD_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct PsgdHyper {
    float lr;
    float weight_decay;
    float momentum;
    float rate;       // 1 - momentum
    float correction; // of the momentum's bias: 1 / (1 - momentum^t), or 1
};

#ifdef __cplusplus
using PsgdHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer PsgdHyperRef { PsgdHyper h; };
#endif

// psgd_moment.comp: m <- b m + (1 - b) g; x = correction m, or g without momentum.
struct PsgdMomentJob {
    GradientOperand gradient;
    MomentOperand   momentum; // PSGD_MOMENTUM
    F32x4           x;        // PSGD_DIRECTION
    F32             partials; // sums of |g| (PSGD_SUM_GRADIENT) or |x| (PSGD_SUM_DIRECTION), one a workgroup
    PsgdHyperRef    hyper;
    ElementRange    range;
    uint            flags;
    uint            first_group;
};

// psgd_noise.comp: what is fitted, h = y + (damping + eps |y|) z, or y + mean|y| scale z.
struct PsgdNoiseJob {
    GradientOperand gradient; // y (PSGD_FROM_GRADIENT or PSGD_RAW), else
    F32x4           y;        // may be h
    F32x4           z;        // normal numbers
    F32x4           h;
    F32             partials; // of psgd_moment.comp (PSGD_MEAN)
    ElementRange    range;
    uint            partial_count;
    float           damping;
    float           scale;
    uint            flags;
    uint            reserved;
    uint            first_group;
};

// psgd_scale.comp: to = x times q, q^2 or 1 / q along an axis.
struct PsgdScaleJob {
    F32  x;
    F32  q;
    F32  to;
    uint count;
    uint extent; // of the axis
    uint inner;  // elements from one of its places to the next
    uint rounds;
    uint flags;  // PSGD_SQUARE, PSGD_INVERSE
    uint first_group;
};

// psgd_rows.comp: of each row of S = A + B (PSGD_SUM) or A: its norm, its diagonal element or largest absolute value
// (PSGD_LARGEST), and the largest absolute value of Q's row (PSGD_LIMIT).
struct PsgdRowsJob {
    F32  a;
    F32  b;
    F32  q;
    F32  rows; // three for each
    uint order;
    uint flags;
    uint reserved;
    uint first_group;
};

// psgd_bound.comp: N = S / f; E = (A - B) / f, or its upper triangle; V, where a power iteration begins.
struct PsgdBoundJob {
    F32  a;
    F32  b;
    F32  rows;      // of psgd_rows.comp
    F32  draws;     // vectors x order normal numbers; without PSGD_DRAWS V is the row itself
    F32  n;
    F32  e;         // PSGD_DIFFERENCE
    F32  v;         // vectors x order
    F32  scalars;   // PSGD_FACTOR_UNIT is written
    U32  running;   // one word: 0 where PSGD_LIMIT has been reached
    uint order;
    uint vectors;
    uint element_groups; // workgroups of the elements, before one for each vector
    uint rounds;
    uint flags;
    uint first_group;
};

// psgd_rate.comp: one workgroup a factor.
struct PsgdRateJob {
    F32   before;   // the vectors of the power iteration before its last product, and
    F32   after;    // after it; of a diagonal factor partial maxima in `after`
    F32   smoothness; // L (PSGD_SMOOTH)
    F32   first;    // R Q, R R Q and R R R Q (PSGD_ROTATION)
    F32   second;
    F32   third;    // PSGD_CUBIC
    F32   scalars;
    U32   running;  // PSGD_LIMIT
    uint  order;
    uint  vectors;  // of a diagonal factor: partial maxima
    float shift;    // T2 where it is a multiple of I
    float decay;    // of L
    float rate;     // the preconditioner's learning rate
    float largest;  // step of a rotation
    uint  flags;
    uint  first_group;
};

// psgd_factor.comp: an element-wise change of a factor.
struct PsgdFactorJob {
    F32   q;
    F32   first;   // products of the change; of a diagonal factor T1, and
    F32   second;  // T2 (PSGD_SUM)
    F32   third;
    F32   scalars;
    F32   to;      // may be q where that is not transposed
    F32   skew;    // R = Q^T - Q of the new Q (PSGD_SKEW)
    uint  order;
    uint  flags;
    float shift;   // T2 of a diagonal factor, or T2 / q^2 (PSGD_OWN)
    uint  first_group;
};

// psgd_max.comp: largest T1 + T2 of a diagonal factor, or absolute value of any, one a workgroup.
struct PsgdMaxJob {
    F32   a;
    F32   b;        // PSGD_SUM
    F32   partials;
    uint  count;
    uint  rounds;
    float shift;    // T2 = shift b^2 (PSGD_OWN)
    uint  flags;
    uint  reserved;
    uint  first_group;
};

// psgd_balance.comp: Q <- Q (geometric mean of all factors' largest elements) / its own.
struct PsgdBalanceJob {
    F32   q;
    F32   partials; // of all factors of the parameter, one after the other
    uint  count;
    uint  rounds;
    uint  factors;
    uint  own;
    uint  end[8];   // where the partials of each end
    float share;    // 1 / factors, in two parts
    float share_low;
    uint  reserved;
    uint  first_group;
};

// psgd_moments4.comp: (mean y^4)^(1/4), and the sum of v^2 (PSGD_PROBE); in the second pass (PSGD_COMBINE) one workgroup for
// a parameter, or for several together.
struct PsgdMomentsJob {
    GradientOperand gradient; // y, or with PSGD_RAW the product
    F32             v;
    F32             partials; // of the first pass, three a workgroup: largest, sum of fourth powers over it, sum of v^2
    F32             result;   // the second pass 
    ElementRange    range;
    uint            partial_count;
    float           elements; // of the second pass
    uint            flags;
    uint            first_group;
};

// psgd_start.comp: Q = s^exponent I, or all elements of a diagonal.
struct PsgdStartJob {
    F32   q;
    F32   moments;   // of all parameters (psgd_moments4.comp), where s is not given
    uint  parameters;
    uint  count;
    uint  order;     // of a matrix; 0: a diagonal
    uint  rounds;
    float value;     // of Q where it is given
    float exponent;
    float damping;
    float probes;    // elements of all probes together, or 0
    uint  flags;     // PSGD_GIVEN
    uint  first_group;
};

// psgd_update.comp
struct PsgdUpdateJob {
    ParameterOperand parameter;
    F32x4            direction;
    F32              norms;       // of the directions
    PsgdHyperRef     hyper;
    ElementRange     range;
    uint             norm_first;
    uint             norm_count;  // combined
    float            limit;       // of their norm; 0: none
    float            eps;         // added to the norm
    float            largest;     // absolute value of an element; 0: any
    uint             decays;      // 0: this parameter does not
    uint             reserved;
    uint             first_group;
};

const uint PSGD_MOMENTUM = 1;
const uint PSGD_RAMP = 2;            // b = min(1 - 1/t, momentum)
const uint PSGD_DIRECTION = 4;
const uint PSGD_SUM_GRADIENT = 8;
const uint PSGD_SUM_DIRECTION = 16;
const uint PSGD_FROM_GRADIENT = 32;
const uint PSGD_MEAN = 64;
const uint PSGD_SQUARE = 128;
const uint PSGD_INVERSE = 256;
const uint PSGD_SUM = 512;
const uint PSGD_LARGEST = 1024;
const uint PSGD_LIMIT = 2048;
const uint PSGD_DRAWS = 4096;
const uint PSGD_DIFFERENCE = 8192;
const uint PSGD_TRIANGLE = 16384;
const uint PSGD_SMOOTH = 32768;
const uint PSGD_ROTATION = 65536;
const uint PSGD_CUBIC = 131072;
const uint PSGD_SKEW = 262144;
const uint PSGD_HALF = 524288;       // half of the rate
const uint PSGD_SYMMETRIC = 1048576; // the symmetric part of the new Q
const uint PSGD_DIAGONAL = 2097152;
const uint PSGD_TEMPORARY = 4194304; // is written where the change is dropped, too
const uint PSGD_PROBE = 8388608;
const uint PSGD_COMBINE = 16777216;
const uint PSGD_GIVEN = 33554432;
const uint PSGD_OWN = 67108864;      // T2 is a multiple of the factor's square
const uint PSGD_RAW = 134217728;     // not the gradient, but a tensor of the caller as it is

// A factor's scalars.
const uint PSGD_FACTOR_UNIT = 0;   // f; NaN where S is not finite
const uint PSGD_FACTOR_CHANGE = 1; // what the products of the change are multiplied by
const uint PSGD_FACTOR_SHIFT = 2;  // and Q itself
const uint PSGD_FACTOR_GOOD = 3;   // 0: all is dropped, since something was not finite
const uint PSGD_FACTOR_ROTATION = 4; // three factors
const uint PSGD_FACTOR_SCALARS = 8;

HERON_SHARED_END

#endif
