// SPDX-License-Identifier: MIT
// The jobs of the network's kernels, read by GLSL and C++. Matrices are contiguous and row-major.
#ifndef SAMPLES_NETWORK_JOBS_H
#define SAMPLES_NETWORK_JOBS_H

#include "core/shared.h"

#ifdef __cplusplus
HERON_SHARED_BEGIN
using Words = std::uint64_t;  // device address of 32-bit words
HERON_SHARED_END
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Words { uint v[]; };
#endif

HERON_SHARED_BEGIN

const uint NO_LABEL = 0xffffffff; // of the rows that fill up the last batch of an evaluation

struct SampleRowsJob {
    Words cursor;       // [0]: batches taken so far
    Words labels;       // of the data set
    Words row_index;    // out, per row of the batch: which image
    Words row_label;    // out: its label
    uint  batch;
    uint  count;        // images of the data set
    uint  batches;      // per epoch
    uint  half_bits;    // 4^half_bits >= count
    uint  seed;
    uint  shuffle;      // 0: in order
    uint  reserved;
    uint  first_group;
};

struct GatherJob {
    Words images;       // 8-bit pixels, four to a word
    Words row_index;
    F32   rows;         // out, batch x pixels
    uint  batch;
    uint  pixels;
    uint  groups_per_row;
    float scale;        // rows = scale * pixel + shift
    float shift;
    uint  first_group;
};

struct BiasJob {
    F32   bias;
    F32   values;       // in place, rows x cols
    uint  rows;
    uint  cols;
    uint  column_groups;
    uint  relu;         // 1: values = max(values + bias, 0)
    uint  reserved;
    uint  first_group;
};

struct SoftmaxLossJob {
    F32   logits;       // rows x classes
    Words row_label;
    Words row_index;
    F32   gradient;     // out, d(mean loss) / d(logits); not written when `predictions` is
    F32   row_result;   // out, rows x 2: loss, and 1 where the prediction is right
    Words predictions;  // out, one an image; only when evaluating
    uint  rows;
    uint  classes;
    uint  evaluate;
    uint  first_group;
};

struct FinishBatchJob {
    F32   row_result;   // rows x 2
    F32   history;      // out, capacity x 2: sum of losses, number of right predictions
    Words cursor;       // [0]: advanced by one
    uint  rows;
    uint  capacity;
    uint  reserved;
    uint  first_group;
};

struct ReluBackwardJob {
    F32   activation;
    F32   gradient;     // in place
    uint  count;
    uint  first_group;
};

struct ChannelBiasJob {
    F32   bias;
    F32   values;       // in place, images x channels x positions
    uint  count;
    uint  channels;
    uint  positions;
    uint  relu;         // as in BiasJob
    uint  reserved;
    uint  first_group;
};

// conv_patches.comp, conv_images.comp
struct ConvJob {
    F32   images;       // batch x channels x height x width
    F32   patches;      // batch x out_height x out_width x channels x kernel x kernel
    uint  count;        // elements of what is written
    uint  channels;
    uint  height;
    uint  width;
    uint  out_height;
    uint  out_width;
    uint  kernel;
    uint  stride;
    uint  padding;
    uint  first_group;
};

struct ColumnSumJob {
    F32   values;       // rows x cols
    F32   sums;         // out, cols
    uint  rows;
    uint  cols;
    uint  reserved;
    uint  first_group;
};

HERON_SHARED_END

#endif
