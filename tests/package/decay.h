// SPDX-License-Identifier: MIT
// Decay: x <- factor x.
#ifndef DOWNSTREAM_DECAY_H
#define DOWNSTREAM_DECAY_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct DecayJob {
    F32   x;
    uint  count;  // elements
    float factor;
    uint  reserved;
    uint  first_group;
};

HERON_SHARED_END

#endif
