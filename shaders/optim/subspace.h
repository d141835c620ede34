// SPDX-License-Identifier: MIT
// Jobs of the kernels that Conda, Trion and DCT-AdamW share: optimizers that work in another basis, or in a few vectors of one.
#ifndef HERON_OPTIM_SUBSPACE_H
#define HERON_OPTIM_SUBSPACE_H

#include "optim/adamw.h"

HERON_SHARED_BEGIN

// gradient_sum.comp
struct GradientSumJob {
    GradientOperand gradient;
    MomentOperand   sum;     // SUM_EMA or SUM_PLAIN; else unused
    F32x4           exact;   // the sum before it is rounded, as `copy` (SUM_EXACT)
    F32x4           copy;    // the gradient, indexed from the range's first element (SUM_COPY)
    AdamWHyperRef   hyper;   // SUM_EMA
    ElementRange    range;
    uint            flags;   // SUM_
    uint            first_group;
};

const uint SUM_PLAIN = 1; // S <- S + G
const uint SUM_EMA = 2;   // S <- S + rate1 (G - S)
const uint SUM_COPY = 4;
const uint SUM_EXACT = 8;

// subspace_adam.comp
struct SubspaceAdamJob {
    F32x4         gradient;  // in the basis
    F32x4         direction; // may be the gradient
    U32           since;    // of each slot (ADAM_RESET)
    AdamWHyperRef hyper;
    MomentOperand moment1;  // without ADAM_MOMENT `quads` alone
    MomentOperand moment2;
    ElementRange  range;    // of moment2, and with ADAM_MOMENT of moment1; the others begin at its first element
    uint          slots;    // of one matrix (ADAM_RESET)
    uint          item_elements;
    uint          slot_elements;
    uint          padding;
    uint          flags;    // ADAM_
    uint          first_group;
};

const uint ADAM_MOMENT = 1;  // moment1 is a state; without it the first moment itself, as long as `gradient`
const uint ADAM_RESET = 2;   // moments of slots that began in this step begin at 0
const uint ADAM_COLUMNS = 4; // slots are columns; without it rows

// row_codes.comp: a row is (least, step) and codes of 4 or 8 bits, that of its first element in the lowest bits of its first
// word; it begins with a word.
struct RowCodesJob {
    F32  from;   // rows x cols, without gaps
    U32  codes;
    F32  ranges; // two a row
    uint rows;
    uint cols;
    uint words;  // of a row
    uint bits;
    uint padding;
    uint first_group;
};

// coded_gradient.comp
struct CodedGradientJob {
    GradientOperand gradient;
    U32             codes;  // of the range's elements
    F32             ranges;
    F32x4           sum;    // indexed from the range's first element
    ElementRange    range;
    uint            cols;
    uint            words;
    uint            bits;
    uint            first_group;
};

// basis_slots.comp
struct BasisSlotsJob {
    U32  chosen;  // `slots` different numbers below `vectors` for each matrix
    U32  indices; // the number that each slot holds
    U32  since;   // the step in which it came
    uint slots;
    uint vectors; // at most 32 BASIS_WORDS
    uint padding;
    uint first_group;
};

const uint BASIS_WORDS = 256; // of a bitmap in shared memory

HERON_SHARED_END

#endif
