// SPDX-License-Identifier: MIT
// Job of accumulate.comp.
#ifndef HERON_OPTIM_ACCUMULATE_H
#define HERON_OPTIM_ACCUMULATE_H

#include "optim/advance.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct AccumulateJob {
    GradientOperand gradient;
    F32x4           accumulator;
    StepControlRef  control;
    ElementRange    range;
    uint            padding;
    uint            first_group;
};

HERON_SHARED_END

#endif
