// SPDX-License-Identifier: MIT
// Job of condition.comp.
#ifndef HERON_LINALG_CONDITION_H
#define HERON_LINALG_CONDITION_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// One of each for each matrix, contiguous.
struct ConditionJob {
    F32   norm;         // of A
    F32   inverse_norm; // of X = A^(-1 / root)
    U32   status;       // of X; with has_status
    F32   condition;
    float root;
    float damping; // of A: the root is that of A + (damping + relative norm) I
    float relative;
    uint  items;
    uint  has_status;
    uint  reserved;
    uint  first_group;
};

HERON_SHARED_END

#endif
