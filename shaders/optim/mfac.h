// SPDX-License-Identifier: MIT
// Jobs and hyperparameters of the kernels around M-FAC's window (heron/optim/mfac.hpp).
#ifndef HERON_OPTIM_MFAC_H
#define HERON_OPTIM_MFAC_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct MfacHyper {
    float lr;
    float momentum;
    float rate;         // 1 - momentum
    float weight_decay;
};

#ifdef __cplusplus
using MfacHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer MfacHyperRef { MfacHyper h; };
#endif

const uint MFAC_DECAYS = 1;
const uint MFAC_SPARSE = 2;
const uint MFAC_MOMENTUM = 4;

// mfac_keep.comp: which elements move: bits 0 to 3 of a word for each quad.
struct MfacKeepJob {
    ParameterOperand parameter;
    U32              kept;
    ElementRange     range;
    uint             reserved;
    uint             first_group;
};

// mfac_gradient.comp: x, with zeros up to a multiple of four elements.
struct MfacGradientJob {
    ParameterOperand parameter;
    GradientOperand  gradient;
    U32              kept;  // MFAC_SPARSE
    U32x4            x;
    MfacHyperRef     hyper;
    ElementRange     range;
    uint             flags;
    uint             first_group;
};

// mfac_update.comp
struct MfacUpdateJob {
    ParameterOperand parameter;
    F32x4            direction;
    F32x4            momentum; // MFAC_MOMENTUM
    MfacHyperRef     hyper;
    ElementRange     range;
    uint             flags;
    uint             first_group;
};

HERON_SHARED_END

#endif
