// SPDX-License-Identifier: MIT
#ifndef HERON_TESTS_NAIVE_GEMM_H
#define HERON_TESTS_NAIVE_GEMM_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// D = A B, row after row without gaps.
struct NaiveGemmJob {
    F32  a;
    F32  b;
    F32  d;
    uint m;
    uint n;
    uint k;
    uint first_group;
};

HERON_SHARED_END

#endif
