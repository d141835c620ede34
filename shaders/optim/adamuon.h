// SPDX-License-Identifier: MIT
// Jobs of AdaMuon's kernels. A job is one block (one matrix).
#ifndef HERON_OPTIM_ADAMUON_H
#define HERON_OPTIM_ADAMUON_H

#include "optim/muon.h"

HERON_SHARED_BEGIN

// adamuon_moment.comp
struct AdaMuonMomentJob {
    U32x4        direction;   // O, indexed from the block's first element
    F32x4        moment2;     // V, indexed from the parameter's
    F32          partials;    // sum of P's squares a workgroup
    ElementRange range;
    float        rate;        // 1 - beta
    float        eps;
    uint         padding;
    uint         first_group;
};

// adamuon_update.comp
struct AdaMuonUpdateJob {
    ParameterOperand parameter;
    U32x4            direction;
    F32x4            moment2;       // after adamuon_moment
    F32              partials;
    MuonHyperRef     hyper;
    ElementRange     range;
    uint             partial_count;
    float            target;        // norm of the scaled P
    float            eps;
    uint             flags;         // MUON_
    uint             padding;
    uint             first_group;
};

HERON_SHARED_END

#endif
