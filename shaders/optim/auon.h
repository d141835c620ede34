// SPDX-License-Identifier: MIT
// Jobs of AuON's kernels. A job is one block of a parameter.
#ifndef HERON_OPTIM_AUON_H
#define HERON_OPTIM_AUON_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

// auon_brake.comp
struct AuonBrakeJob {
    U32x4        direction;   // U, or its polar factor
    F32          norm;        // |U|, or its square (AUON_NORMALIZED, AUON_SQUARED)
    F32          partials;    // one float a workgroup
    ElementRange range;       // `first`: index in `direction` of the block's first element
    float        gamma;
    float        norm_eps;
    uint         flags;       // AUON_
    uint         first_group;
};

// auon_factor.comp
struct AuonFactorJob {
    F32   norm;          // |U| (AUON_UNIT)
    F32   partials;
    F32   factor;        // result
    uint  partial_count;
    float mean;          // 1 / elements of the block
    uint  flags;         // AUON_
    uint  first_group;
};

const uint AUON_NORMALIZED = 1; // c = gamma U / (|U| + norm_eps) instead of gamma U
const uint AUON_UNIT = 2;       // the factor divides by |U|, too
const uint AUON_SQUARED = 4;    // of auon_brake: `norm` is |U|^2

HERON_SHARED_END

#endif
