// SPDX-License-Identifier: MIT
// The job of scion_sign.comp: one block of a parameter.
#ifndef HERON_OPTIM_SCION_H
#define HERON_OPTIM_SCION_H

#include "optim/muon.h"

HERON_SHARED_BEGIN

struct ScionSignJob {
    ParameterOperand parameter;
    GradientOperand  gradient;
    MomentOperand    momentum;    // not in the stateless variant
    MuonHyperRef     hyper;
    ElementRange     range;
    float            factor;
    uint             first_group;
};

HERON_SHARED_END

#endif
