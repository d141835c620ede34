// SPDX-License-Identifier: MIT
// Jobs of lookahead.comp and lookahead_momentum.comp.
#ifndef HERON_OPTIM_LOOKAHEAD_H
#define HERON_OPTIM_LOOKAHEAD_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct LookaheadJob {
    ParameterOperand parameter;
    F32x4            slow;
    ElementRange     range;
    float            alpha;
    uint             first_group;
};

struct LookaheadMomentumJob {
    MomentOperand momentum;
    F32x4         slow;
    ElementRange  range;
    float         alpha;
    uint          first_group;
};

HERON_SHARED_END

#endif
