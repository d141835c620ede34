// SPDX-License-Identifier: MIT
// Job and hyperparameters of adamw.comp and adamw_block8.comp.
#ifndef HERON_OPTIM_ADAMW_H
#define HERON_OPTIM_ADAMW_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct AdamWHyper {
    float lr;
    float rate1;               // 1 - beta1, rounded once from double: 1.0f - 0.999f is already off by 1.3e-5
    float rate2;               // 1 - beta2
    float weight_decay;        // where MuonHyper has it: muon_update.comp reads it here, too
    float eps;
    float moment_scale;        // of m: 1 / (1 - beta1^t)
    float denominator_scale;   // of v, under the root: 1 / (1 - beta2^t)
};

#ifdef __cplusplus
using AdamWHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer AdamWHyperRef { AdamWHyper h; };
#endif

struct AdamWJob {
    ParameterOperand parameter;
    GradientOperand  gradient;
    MomentOperand    moment1;
    MomentOperand    moment2;
    F32x4            moment2_max; // ADAMW_AMSGRAD; not in 8 bits
    AdamWHyperRef    hyper;
    ElementRange     range;
    uint             flags;       // ADAMW_CAUTIOUS, ADAMW_DECAY_AFTER (not in 8 bits)
    uint             first_group;
};

const uint ADAMW_CAUTIOUS = 1;
const uint ADAMW_DECAY_AFTER = 2; // decays the weight after its update

HERON_SHARED_END

#endif
