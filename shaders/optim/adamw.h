// SPDX-License-Identifier: MIT
// Job and hyperparameters of adamw.comp.
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
    F32x4            moment2_max; // ADAMW_AMSGRAD
    AdamWHyperRef    hyper;
    ElementRange     range;
    uint             flags;       // ADAMW_CAUTIOUS, ADAMW_DECAY_AFTER
    uint             first_group;
};

// adamw_block8.comp
struct AdamWBlock8Job {
    ParameterOperand parameter;
    GradientOperand  gradient;
    U32              codes1;      // of m; four elements a word, whole blocks
    U32              codes2;      // of v
    F32              scales1;     // one a block: the largest |m|
    F32              scales2;     // the largest root of v
    AdamWHyperRef    hyper;
    ElementRange     range;
    uint             index;       // of the parameter in the plan, for random numbers
    uint             padding;
    uint             flags;       // ADAMW_CAUTIOUS
    uint             first_group;
};

const uint ADAMW_CAUTIOUS = 1;
const uint ADAMW_DECAY_AFTER = 2; // decays the weight after its update

HERON_SHARED_END

#endif
