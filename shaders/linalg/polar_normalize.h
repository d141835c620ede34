// SPDX-License-Identifier: MIT
// Jobs of polar_norm.comp and polar_normalize.comp. Matrices of a batch lie `..._item` elements apart.
#ifndef HERON_LINALG_POLAR_NORMALIZE_H
#define HERON_LINALG_POLAR_NORMALIZE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// Flags of a PolarNormalizeJob.
const uint POLAR_CLAMPED = 1; // nu = max(factor norm, eps) instead of factor norm + eps
const uint POLAR_STATUS = 2;  // there is one for each matrix
const uint POLAR_TWO_WORDS = 4; // X has two f32 words an element (linalg/two_word_product.h)

struct PolarNormJob {
    U32  x;
    F32  partials;         // three floats a workgroup (Blue's accumulators, core/reduce.glsl)
    uint cols;
    uint count;            // elements of one matrix
    uint x_stride;         // elements
    uint x_item;
    uint groups_per_item;  // workgroups of one matrix
    uint first_group;
};

struct PolarNormalizeJob {
    U32   x;
    F32   partials;
    U32   result;
    U32   status;          // POLAR_STATUS
    uint  cols;
    uint  count;
    uint  x_stride;
    uint  x_item;
    uint  result_stride;
    uint  result_item;
    uint  partials_per_item;
    uint  groups_per_item;
    uint  flags;
    float norm_factor;
    float eps;
    uint  first_group;
};

HERON_SHARED_END

#endif
