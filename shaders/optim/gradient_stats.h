// SPDX-License-Identifier: MIT
// Job of gradient_stats.comp.
#ifndef HERON_OPTIM_GRADIENT_STATS_H
#define HERON_OPTIM_GRADIENT_STATS_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct GradientStatsJob {
    GradientOperand gradient;
    F32             partials; // four words a workgroup: small, medium, large sum of squares, bits of the non-finite count
    ElementRange    range;
    uint            padding;
    uint            first_group;
};

HERON_SHARED_END

#endif
