// SPDX-License-Identifier: MIT
// Job of halley.comp.
#ifndef HERON_LINALG_HALLEY_H
#define HERON_LINALG_HALLEY_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// Y = factor s^x_power X + diagonal s^diagonal_power I,  s = norm^(-1/4), or 1 where the norm is zero.
struct HalleyJob {
    F32   x;    // order x order each, contiguous
    F32   y;
    F32   norm; // of each matrix; read where there is a power
    uint  order;
    uint  x_power;
    uint  diagonal_power;
    float factor;
    float diagonal;
    uint  chunks; // workgroups of a matrix
    uint  reserved;
    uint  first_group;
};

HERON_SHARED_END

#endif
