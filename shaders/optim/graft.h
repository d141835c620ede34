// SPDX-License-Identifier: MIT
// Job of graft.comp: one matrix.
#ifndef HERON_OPTIM_GRAFT_H
#define HERON_OPTIM_GRAFT_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct GraftJob {
    F32x4        update;
    F32          norm;    // one float: of the update
    F32          wanted;  // one float: the norm that it gets
    ElementRange range;
    uint         padding;
    uint         first_group;
};

HERON_SHARED_END

#endif
