// SPDX-License-Identifier: MIT
// Jobs of gradient_norm.comp and scaled_gradient.comp. A job is one block (one matrix): elements [first, first + count) of
// its parameter.
#ifndef HERON_OPTIM_SCALED_GRADIENT_H
#define HERON_OPTIM_SCALED_GRADIENT_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

// gradient_norm.comp
struct GradientNormJob {
    GradientOperand gradient;
    F32             partials; // Blue's three sums of squares a workgroup
    ElementRange    range;
    uint            padding;
    uint            first_group;
};

// scaled_gradient.comp
struct ScaledGradientJob {
    GradientOperand gradient;
    F32             partials;
    F32x4           scaled;   // indexed from the block's first element
    F32             unit;     // one float
    ElementRange    range;
    uint            partial_count;
    uint            first_group;
};

HERON_SHARED_END

#endif
