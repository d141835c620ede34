// SPDX-License-Identifier: MIT
// A moment in any format: a member of job structs, read and written through optim/moment.glsl.
#ifndef HERON_OPTIM_MOMENT_H
#define HERON_OPTIM_MOMENT_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct MomentOperand {
    U32x4 quads;
    U32   words;     // the same address
    uint  parameter; // its index in the plan, for random numbers
    uint  padding;
};

// Where in the space of random numbers (linalg/philox.glsl) the draws of roundings lie: counter (first element of the
// quad, step, parameter, this).
const uint MOMENT_STREAM = 0xfffffffeu;

const uint MOMENT_BLOCK = 256; // elements that share a scale, of moments in 8 bits

HERON_SHARED_END

#endif
