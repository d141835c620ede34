// SPDX-License-Identifier: MIT
// A moment in any format: a member of job structs, read and written through optim/moment.glsl, or in kernels with
// MOMENT_BLOCK8 (a macro) optim/moment_block8.glsl. The former's members are the latter's in other types.
#ifndef HERON_OPTIM_MOMENT_H
#define HERON_OPTIM_MOMENT_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct MomentOperand {
#ifdef MOMENT_BLOCK8
    U32   codes;     // four elements a word, whole blocks
    F32   scales;    // one a block: the largest |m|, or the largest root of v
#else
    U32x4 quads;
    U32   words;     // the same address
#endif
    uint  parameter; // a number of its own, for random numbers
    uint  padding;
};

// Where in the space of random numbers (linalg/philox.glsl) the draws of roundings lie: counter (first element of the
// quad, step, parameter, this).
const uint MOMENT_STREAM = 0xfffffffeu;
// Added to the parameter: beside the two moments that share the bits of one draw, two more.
const uint MOMENT_OTHERS = 0x80000000u;
const uint MOMENT_PULLED = 0x40000000u; // ... and what Lookahead makes of one after the step

const uint MOMENT_BLOCK = 256; // elements that share a scale, of moments in 8 bits

HERON_SHARED_END

#endif
