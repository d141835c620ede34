// SPDX-License-Identifier: MIT
// Job and hyperparameters of sgd.comp.
#ifndef HERON_OPTIM_SGD_H
#define HERON_OPTIM_SGD_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct SgdHyper {
    float lr;
    float momentum;
    float rate;         // 1 - dampening; 1 in the first step
    float weight_decay;
};

#ifdef __cplusplus
using SgdHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer SgdHyperRef { SgdHyper h; };
#endif

struct SgdJob {
    ParameterOperand parameter;
    GradientOperand  gradient;
    MomentOperand    momentum; // SGD_MOMENTUM
    SgdHyperRef      hyper;
    ElementRange     range;
    uint             flags;    // SGD_NESTEROV, SGD_DECOUPLED
    uint             first_group;
};

const uint SGD_NESTEROV = 1;
const uint SGD_DECOUPLED = 2;

HERON_SHARED_END

#endif
