// SPDX-License-Identifier: MIT
// Jobs of the kernels that optimizers of whole layers share. [W, b] of a layer is a matrix whose rows have `stride`
// elements: element i of a parameter is element (i / cols) stride + offset + i % cols of it.
#ifndef HERON_OPTIM_LAYER_H
#define HERON_OPTIM_LAYER_H

#include "linalg/factor.h"
#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

// Directions and gradients of layers are kept over this: products of the largest gradients (LARGEST_GRADIENT) with inverses
// stay in range, and what is lost at the other end is below 2^-94.
const float LAYER_UNIT = 4294967296.0f;

struct LayerHyper {
    float lr;
    float momentum;
    float rate;         // 1 - dampening; 1 in the first step
    float weight_decay;
};

#ifdef __cplusplus
using LayerHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer LayerHyperRef { LayerHyper h; };
#endif

// layer_gradient.comp
struct LayerGradientJob {
    GradientOperand gradient;
    F32             matrix;
    ElementRange    range;
    uint            cols;
    uint            stride;
    uint            offset;
    uint            first_group;
};

// layer_update.comp
struct LayerUpdateJob {
    ParameterOperand parameter;
    F32              direction;
    F32              factor;     // one float (LAYER_FACTOR)
    MomentOperand    momentum;   // SGD_MOMENTUM
    LayerHyperRef    hyper;
    ElementRange     range;
    uint             cols;
    uint             stride;
    uint             offset;
    uint             flags;      // LAYER_
    uint             decay_from; // steps without decay
    uint             first_group;
};

const uint LAYER_NESTEROV = 1;
const uint LAYER_DECOUPLED = 2;
const uint LAYER_FACTOR = 4;

// layer_dot.comp
struct LayerDotJob {
    F32x4        direction;
    F32x4        gradient;
    F32          partials; // one float a workgroup
    ElementRange range;
    uint         padding;
    uint         first_group;
};

// layer_clip.comp
struct LayerClipJob {
    F32           partials;
    LayerHyperRef hyper;
    F32           clip_lr;    // one float
    F32           kept;       // three floats: the factor, the sum of D G, the change of the loss that it predicts
    uint          count;
    float         root_limit; // square root of the limit
    uint          padding;
    uint          first_group;
};

// layer_mean.comp: elements of a statistic
struct LayerMeanJob {
    F32  statistic;
    F32  mean;
    uint count;
    uint rounds;
    uint flags;    // LAYER_UNSCALE
    uint first_group;
};

const uint LAYER_UNSCALE = 1; // the statistic is of gradients: divided by the loss scale's square

// layer_rows.comp
struct LayerRowsJob {
    U32        from;
    F32        to;        // items x samples x columns
    F32        unscale;   // one float (LAYER_UNSCALE)
    FactorRows rows;      // all rows of all samples
    uint       items;
    uint       samples;   // rows of the result
    uint       positions; // rows of `from` for each of them
    uint       columns;   // features, and one more with a bias
    float      weight;    // of their sum
    uint       flags;     // LAYER_UNSCALE
    uint       padding;
    uint       first_group;
};

HERON_SHARED_END

#endif
