// SPDX-License-Identifier: MIT
// Job of fismo_momentum.comp: one block (one matrix), elements [first, first + count) of its parameter.
#ifndef HERON_OPTIM_FISMO_H
#define HERON_OPTIM_FISMO_H

#include "optim/muon.h"

HERON_SHARED_BEGIN

struct FismoMomentumJob {
    F32x4         whitened; // G~ / unit, indexed from the block's first element
    F32           unit;     // one float
    MomentOperand momentum;
    F32x4         update;   // U, indexed from the block's first element
    MuonHyperRef  hyper;
    ElementRange  range;
    uint          flags;    // MUON_NESTEROV
    uint          first_group;
};

HERON_SHARED_END

#endif
