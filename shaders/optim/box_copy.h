// SPDX-License-Identifier: MIT
// Job of box_copy.comp.
#ifndef HERON_OPTIM_BOX_COPY_H
#define HERON_OPTIM_BOX_COPY_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint BOX_AXES = 8; // Shape::kMaxRank

struct BoxCopyJob {
    F32  from;
    F32  to;
    uint count;
    uint rounds;
    uint axes;
    uint extent[BOX_AXES];      // outermost first
    uint from_stride[BOX_AXES]; // elements
    uint to_stride[BOX_AXES];
    uint from_first;
    uint to_first;
    uint padding;
    uint padding2;
    uint first_group;
};

HERON_SHARED_END

#endif
