// SPDX-License-Identifier: MIT
// Jobs and hyperparameters of Muon's kernels. A job is one block (one matrix): elements [first, first + count) of its
// parameter.
#ifndef HERON_OPTIM_MUON_H
#define HERON_OPTIM_MUON_H

#include "optim/moment.h"
#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct MuonHyper {
    float lr;
    float momentum;
    float rate;         // of the gradient: 1 - momentum (EMA) or 1 (sum)
    float weight_decay;
};

#ifdef __cplusplus
using MuonHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer MuonHyperRef { MuonHyper h; };
#endif

// muon_momentum.comp, muon_momentum_block8.comp (U alone)
struct MuonMomentumJob {
    GradientOperand gradient;
    MomentOperand   momentum; // not in the stateless variant
    F32x4           update;   // U, indexed from the block's first element (without MUON_UNSTORED)
    F32             partials; // Blue's three sums of U's squares a workgroup (PARTIAL_NORMS)
    MuonHyperRef    hyper;
    ElementRange    range;
    uint            flags;    // MUON_
    uint            first_group;
};

// muon_normalize.comp
struct MuonNormalizeJob {
    GradientOperand gradient;
    MomentOperand   momentum;      // after muon_momentum; not in the stateless variant
    U32x4           iterate;       // X, indexed from the block's first element
    F32             partials;
    MuonHyperRef    hyper;
    ElementRange    range;
    uint            partial_count;
    float           norm_factor;
    float           eps;
    uint            padding;
    uint            flags;         // MUON_
    uint            first_group;
};

// muon_update.comp
struct MuonUpdateJob {
    ParameterOperand parameter;
    U32x4            direction;       // O: the polar factor, or what stands in its place
    F32              line_factors;    // one a row or column of the block (lines variant); with MUON_RATED one, the rate
    MuonHyperRef     hyper;
    ElementRange     range;
    uint             direction_first; // index in `direction` of the block's first element
    float            shape_factor;
    uint             cols;            // lines variant: elements from row to row
    float            line_scale;      // MUON_LINE_DIVIDE
    float            line_eps;
    uint             flags;           // MUON_
    uint             padding;
    uint             first_group;
};

const uint MUON_NESTEROV = 1;
const uint MUON_CLAMPED = 2; // divisor max(factor norm, eps) instead of factor norm + eps
const uint MUON_CAUTIOUS = 4;
const uint MUON_DECAY_AFTER = 8; // decays the weight after its update
const uint MUON_SQUARED_DECAY = 16; // lr^2 wd instead of lr wd
const uint MUON_SIGN = 32;          // orthogonalizes sign(U) instead of U; muon_update subtracts sign(O)
const uint MUON_UNSTORED = 64;      // muon_momentum does not store U: it is the momentum, or formed again
const uint MUON_LINE_COLUMNS = 128; // lines are columns
const uint MUON_LINE_DIVIDE = 256;  // a line is divided by line_scale x + line_eps, x its factor, not multiplied by x

HERON_SHARED_END

#endif
