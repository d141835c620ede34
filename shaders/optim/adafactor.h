// SPDX-License-Identifier: MIT
// Jobs and hyperparameters of Adafactor's kernels. A job is one parameter: `items` matrices of rows x cols, or a vector, laid
// out in rows of `cols` (a multiple of 4) of which the last may be shorter; it has v for row and column factors.
//
// adafactor_sums, _norm and _update cover it with tiles, one a workgroup. An invocation takes four columns and, in each of
// `rounds` rounds, four rows below each other:
//
//   lane = (lane_row * lane_cols + lane_col), lane_row = (item in the tile * lane_rows + row in the item)
//   tile = ((first item / (tile_items * item_rounds)) * row_tiles + row tile) * col_tiles + column tile
//
// A tile has several items only where one row tile covers an item; the rounds are then for more items, and each of them begins
// with begin_round().
#ifndef HERON_OPTIM_ADAFACTOR_H
#define HERON_OPTIM_ADAFACTOR_H

#include "optim/parameter.h"

HERON_SHARED_BEGIN

struct AdafactorHyper {
    float lr;
    float step;         // t
    float rate2;        // t^decay
    float weight_decay;
    float beta1;
    float rate1;        // 1 - beta1
};

#ifdef __cplusplus
using AdafactorHyperRef = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer AdafactorHyperRef { AdafactorHyper h; };
#endif

struct AdafactorTiles {
    uint items;
    uint rows;
    uint cols;
    uint lane_cols;  // a power of two
    uint lane_rows;  // of one item; a power of two
    uint tile_items; // a power of two: the three together are the workgroup
    uint row_tiles;  // of an item
    uint col_tiles;
    uint rounds;      // of rows
    uint item_rounds; // of items; 1 unless rounds is 1
    uint row_chunks; // parts of an item's rows whose sums adafactor_lines leaves
    uint flags;      // ADAFACTOR_
    uint count;      // elements
    uint padding;
};

const uint ADAFACTOR_VECTOR = 1;
const uint ADAFACTOR_SCALED = 2;       // the rate is multiplied by the weights' RMS
const uint ADAFACTOR_TRANSFORMERS = 4; // decays by the scaled rate
const uint ADAFACTOR_CAPPED = 8;
const uint ADAFACTOR_WARMUP = 16;

// adafactor_sums.comp
struct AdafactorSumsJob {
    ParameterOperand  parameter;
    GradientOperand   gradient;
    F32               row_sums;  // [item][row][column tile], divided by the columns
    F32               col_sums;  // [item][row tile][column], divided by the rows; of a vector v
    F32               weights;   // Blue's three sums of W's squares a tile (ADAFACTOR_SCALED)
    AdafactorHyperRef hyper;
    AdafactorTiles    tiles;
    ElementRange      range;
    float             row_weight; // 1 / cols
    float             col_weight; // 1 / rows
    float             eps;        // added to the squares of a vector
    uint              first_group;
};

// adafactor_lines.comp, for matrices: workgroups for rows, then for columns.
struct AdafactorLinesJob {
    F32               row_sums;
    F32               col_sums;
    F32               row;       // r
    F32               col;       // c
    F32               means;     // [item][row chunk]: sums of r, divided by the rows
    AdafactorHyperRef hyper;
    AdafactorTiles    tiles;
    uint              row_groups;
    uint              chunk_rows;  // invocations for an item's rows; a power of two
    uint              repeats;     // a workgroup does as much as so many would
    float             eps;         // added to the squares
    float             mean_weight; // 1 / rows
    uint              first_group;
};

// What adafactor_norm and adafactor_update form U from.
struct AdafactorDirection {
    F32   row;
    F32   col;
    F32   means;
    float mean_floor;    // of mean(r)
    float inverse_floor; // 1 / smallest root of the second moment; 0: no bound
};

// adafactor_norm.comp
struct AdafactorNormJob {
    GradientOperand    gradient;
    AdafactorDirection direction;
    F32                updates;   // Blue's three sums of U's squares a tile
    AdafactorTiles     tiles;
    ElementRange       range;
    uint               padding;
    uint               first_group;
};

// adafactor_update.comp
struct AdafactorUpdateJob {
    ParameterOperand   parameter;
    GradientOperand    gradient;
    AdafactorDirection direction;
    F32                updates;
    F32                weights;
    F32x4              moment1;   // SGD_MOMENTUM
    F32                rate;      // a, one float (GRADIENT_READY)
    AdafactorHyperRef  hyper;
    AdafactorTiles     tiles;
    ElementRange       range;
    float              eps2;
    float              inverse_clip;
    float              inverse_count;
    uint               first_group;
};

// adafactor_scale.comp
struct AdafactorScaleJob {
    F32               norm;        // |W| (ADAFACTOR_SCALED)
    F32               rate;        // the result
    AdafactorHyperRef hyper;
    float             norm_factor; // 1 / sqrt(elements)
    float             eps2;
    float             lr_scale;    // Parameter::lr_scale
    uint              flags;       // ADAFACTOR_
    uint              padding;
    uint              first_group;
};

HERON_SHARED_END

#endif
