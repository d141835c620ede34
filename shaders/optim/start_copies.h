// SPDX-License-Identifier: MIT
// Job of start_copies.comp.
#ifndef HERON_OPTIM_START_COPIES_H
#define HERON_OPTIM_START_COPIES_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct StartCopiesJob {
    ParameterOperand parameter;
    ElementRange     range;
    uint             padding;
    uint             first_group;
};

HERON_SHARED_END

#endif
