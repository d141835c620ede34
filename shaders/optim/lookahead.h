// SPDX-License-Identifier: MIT
// Job of lookahead.comp.
#ifndef HERON_OPTIM_LOOKAHEAD_H
#define HERON_OPTIM_LOOKAHEAD_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct LookaheadJob {
    ParameterOperand parameter;
    F32x4            slow;
    F32x4            momentum;      // LOOKAHEAD_RESET, LOOKAHEAD_PULLBACK; else any readable bytes
    F32x4            slow_momentum; // LOOKAHEAD_PULLBACK; else any readable bytes
    ElementRange     range;
    float            alpha;
    uint             padding;
    uint             flags;         // LOOKAHEAD_
    uint             first_group;
};

const uint LOOKAHEAD_RESET = 1;
const uint LOOKAHEAD_PULLBACK = 2;

HERON_SHARED_END

#endif
