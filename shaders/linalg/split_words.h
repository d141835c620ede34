// SPDX-License-Identifier: MIT
// Job of split_words.comp. Matrices of the batch lie `..._item` elements apart; both words have one layout.
#ifndef HERON_LINALG_SPLIT_WORDS_H
#define HERON_LINALG_SPLIT_WORDS_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// low holds this many times what rounding to high lost: f16 would have only subnormal numbers for it else.
const uint SPLIT_WORDS_SCALE = 2048;

struct SplitWordsJob {
    F32  x;
    U32  high;
    U32  low;
    uint rows;   // of a matrix
    uint cols;
    uint x_stride; // elements
    uint x_item;
    uint word_stride;
    uint word_item;
    uint pairs; // of all matrices: batch rows ceil(cols / 2)
    uint reserved;
    uint first_group;
};

HERON_SHARED_END

#endif
