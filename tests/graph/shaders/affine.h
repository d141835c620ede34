// SPDX-License-Identifier: MIT
#ifndef HERON_TESTS_AFFINE_H
#define HERON_TESTS_AFFINE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct AffineJob {
    F32   x;
    F32   y;
    float a;
    float b;
    uint  count;
    uint  first_group;
};

struct AlternateJob {
    U32  control;
    U32  table;
    U32  arguments;
    uint unused;
    uint first_group;
};

HERON_SHARED_END

#endif
