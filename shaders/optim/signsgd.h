// SPDX-License-Identifier: MIT
// Job and hyperparameters of signsgd.comp.
#ifndef HERON_OPTIM_SIGNSGD_H
#define HERON_OPTIM_SIGNSGD_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct SignSgdHyper {
    float lr;
    float rate;           // 1 - momentum
    float momentum_part;  // of m in the direction
    float gradient_part;  // of g in the direction
    float weight_decay;
};

#ifdef __cplusplus
using SignSgdHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer SignSgdHyperRef { SignSgdHyper h; };
#endif

struct SignSgdJob {
    ParameterOperand parameter;
    GradientOperand  gradient;
    MomentOperand    momentum; // SGD_MOMENTUM
    SignSgdHyperRef  hyper;
    ElementRange     range;
    float            shape_factor;
    uint             first_group;
};

HERON_SHARED_END

#endif
