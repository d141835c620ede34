// SPDX-License-Identifier: MIT
// Job and hyperparameters of random_scaling_sgd.comp.
#ifndef HERON_OPTIM_RANDOM_SCALING_SGD_H
#define HERON_OPTIM_RANDOM_SCALING_SGD_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct RandomScalingSgdHyper {
    float lr;
    float beta;
    float mu;
    float scale; // the step's draw
};

#ifdef __cplusplus
using RandomScalingSgdHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer RandomScalingSgdHyperRef {
    RandomScalingSgdHyper h;
};
#endif

struct RandomScalingSgdJob {
    ParameterOperand         parameter;
    GradientOperand          gradient;
    MomentOperand            momentum;
    RandomScalingSgdHyperRef hyper;
    ElementRange             range;
    uint                     padding;
    uint                     first_group;
};

HERON_SHARED_END

#endif
