// SPDX-License-Identifier: MIT
// Jobs and hyperparameters of Dion2 and NorDion2. A job is one block (one matrix) of its parameter: rows x cols elements
// from element `first` on. Lines are its rows, or with DION2_COLUMNS its columns; `count` of them are selected.
#ifndef HERON_OPTIM_DION2_H
#define HERON_OPTIM_DION2_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct Dion2Hyper {
    float lr;
    float weight_decay;
    float decay;        // of the momentum of selected lines
};

#ifdef __cplusplus
using Dion2HyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer Dion2HyperRef { Dion2Hyper h; };
#endif

// dion2_momentum.comp
struct Dion2MomentumJob {
    GradientOperand gradient;
    MomentOperand   momentum;
    F32             sums;      // rows x parts, or parts x cols
    U32             positions; // one a line
    ElementRange    range;     // rounds: quads of a row, or rows, for each invocation
    uint            rows;
    uint            cols;
    uint            parts;     // invocations that share a line
    uint            flags;     // DION2_
    uint            reserved;
    uint            first_group;
};

// dion2_take.comp
struct Dion2TakeJob {
    MomentOperand momentum;
    U32           indices;   // the selected lines
    U32           positions;
    F32           lines;     // count x cols, or rows x count
    F32           partials;  // three sums of squares a workgroup (PARTIAL_NORMS)
    Dion2HyperRef hyper;
    ElementRange  range;     // rounds: elements of A for each invocation
    uint          rows;
    uint          cols;
    uint          count;
    uint          flags;     // DION2_
    uint          reserved;
    uint          first_group;
};

// dion2_update.comp
struct Dion2UpdateJob {
    ParameterOperand parameter;
    F32x4            update;       // O of the selected lines
    U32              positions;    // where a line is among them; DION2_NOWHERE
    F32              factors;      // one a selected line (DION2_FACTORS)
    Dion2HyperRef    hyper;
    ElementRange     range;
    float            shape_factor;
    uint             cols;
    uint             count;
    uint             flags;        // DION2_
    uint             reserved;
    uint             first_group;
};

const uint DION2_COLUMNS = 1;
const uint DION2_FACTORS = 2;
const uint DION2_NOWHERE = 0xffffffffu;

HERON_SHARED_END

#endif
