// SPDX-License-Identifier: MIT
// Job of polar_identity.comp. Matrices of the batch lie `..._item` elements apart.
#ifndef HERON_LINALG_POLAR_IDENTITY_H
#define HERON_LINALG_POLAR_IDENTITY_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct PolarIdentityJob {
    U32   x;
    U32   result;
    uint  k;            // rows and columns
    uint  x_stride;     // elements
    uint  x_item;
    uint  result_stride;
    uint  result_item;
    uint  pairs;        // of all matrices: batch k ceil(k / 2)
    float diagonal;
    uint  first_group;
};

HERON_SHARED_END

#endif
