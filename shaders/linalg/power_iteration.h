// SPDX-License-Identifier: MIT
// Job of power_iteration.comp.
#ifndef HERON_LINALG_POWER_ITERATION_H
#define HERON_LINALG_POWER_ITERATION_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct PowerIterationJob {
    F32   v;     // n elements a matrix, contiguous; read and written
    F32   w;     // A v; not read at the start
    F32   value;
    U32   status;
    uint  order;
    float mix;
    uint  has_status;
    uint  first_group;
};

// SPEC_POWER.
const uint POWER_START = 0; // v <- normalized start
const uint POWER_STEP = 1;  // value = v^T w, v <- w / |w|

HERON_SHARED_END

#endif
