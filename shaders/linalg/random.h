// SPDX-License-Identifier: MIT
// The job of the random number kernel: fills one tensor, or counts up one word.
#ifndef HERON_LINALG_RANDOM_H
#define HERON_LINALG_RANDOM_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct RandomJob {
    U32   to;
    U32   counter;     // one word, with RANDOM_COUNTER
    uint  seed;
    uint  seed_high;
    uint  tensor;
    uint  stream;
    uint  step;
    uint  first_block;
    uint  blocks;      // of four elements; the last may be partial
    uint  count;       // elements
    uint  cols;
    uint  stride;      // elements between rows
    float scale;
    uint  flags;       // RANDOM_ bits
    uint  reserved;
    uint  first_group;
};

const uint RANDOM_CONTROL = 1; // step and seed of the control block are added
const uint RANDOM_COUNTER = 2; // the counter's word is added to the step
const uint RANDOM_PAIRS = 4;   // no gaps between rows

// SPEC_DISTRIBUTION: heron::Distribution, or the counter.
const uint RANDOM_BITS = 0;
const uint RANDOM_UNIFORM = 1;
const uint RANDOM_NORMAL = 2;
const uint RANDOM_SIGNS = 3;
const uint RANDOM_EXPONENTIAL = 4;
const uint RANDOM_ADVANCE = 5; // to[0] <- to[0] + 1

HERON_SHARED_END

#endif
