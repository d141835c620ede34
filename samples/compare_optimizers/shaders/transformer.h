// SPDX-License-Identifier: MIT
// The jobs of the transformer's kernels, read by GLSL and C++. Matrices are contiguous and row-major.
#ifndef COMPARE_OPTIMIZERS_TRANSFORMER_H
#define COMPARE_OPTIMIZERS_TRANSFORMER_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct WindowsJob {
    U32  cursor;      // [0]: batches taken so far
    U32  text;        // one character's index a word
    F32  one_hot;     // out, rows x vocabulary
    U32  targets;     // out, per row: the character that follows
    uint rows;        // sequences x context
    uint context;
    uint characters;  // of the text
    uint vocabulary;
    uint seed;
    uint in_order;    // 1: window after window, for an evaluation; 0: windows at random
    uint no_label;    // target of the rows behind the text's end
    uint first_group;
};

struct RmsNormJob {
    F32  x;
    F32  gain;        // cols
    F32  y;           // out
    F32  scale;       // out, per row: 1 / rms(x)
    uint rows;
    uint cols;
    uint reserved;
    uint first_group;
};

struct RmsNormBackwardJob {
    F32  x;
    F32  gain;
    F32  scale;
    F32  gradient;    // of y; becomes gradient * x * scale, whose column sums are the gain's gradient
    F32  x_gradient;  // added to, or with `first` written
    uint rows;
    uint cols;
    uint first;
    uint first_group;
};

struct SquaredReluJob {
    F32  z;
    F32  h;           // max(z, 0)^2; in the backward pass the gradient, in place
    uint count;
    uint first_group;
};

struct CausalSoftmaxJob {
    F32  scores;      // in place, batch x context x context
    uint rows;        // batch x context
    uint context;
    uint reserved;
    uint first_group;
};

struct CausalSoftmaxBackwardJob {
    F32  probabilities;
    F32  gradient;    // of the probabilities, in place of the scores
    uint rows;
    uint context;
    uint reserved;
    uint first_group;
};

struct MergeHeadsJob {
    F32  parts;       // parts x rows x width
    F32  merged;      // out, rows x (parts x width)
    uint count;       // elements
    uint rows;
    uint part_count;
    uint width;
    uint reserved;
    uint first_group;
};

HERON_SHARED_END

#endif
