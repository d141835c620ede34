// SPDX-License-Identifier: MIT
// Job and hyperparameters of lion.comp.
#ifndef HERON_OPTIM_LION_H
#define HERON_OPTIM_LION_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct LionHyper {
    float lr;
    float rate1;        // 1 - beta1
    float rate2;        // 1 - beta2
    float weight_decay;
};

#ifdef __cplusplus
using LionHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer LionHyperRef { LionHyper h; };
#endif

struct LionJob {
    ParameterOperand parameter;
    GradientOperand  gradient;
    MomentOperand    momentum;
    LionHyperRef     hyper;
    ElementRange     range;
    uint             flags;       // LION_DECAY_AFTER
    uint             first_group;
};

const uint LION_DECAY_AFTER = 1; // decays the weight after its update

HERON_SHARED_END

#endif
