// SPDX-License-Identifier: MIT
// Jobs of Bloop and its relatives.
#ifndef HERON_AGGREGATE_BLOOP_H
#define HERON_AGGREGATE_BLOOP_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// Flags of several jobs.
const uint BLOOP_TWO_AVERAGES = 1; // PCGrad: the auxiliary gradient has an average, too
const uint BLOOP_FROM_GRADIENT = 2; // averages begin as the first main gradient
const uint BLOOP_RATIO_ONLY = 4;
const uint BLOOP_PLAIN = 8;        // no averages at all
const uint BLOOP_HAS_RATIO = 16;
const uint BLOOP_HAS_STATUS = 32;

// Sums over one chunk of one part, five words: <e, aux>, |e|^2, <f, main>, |f|^2, elements that are not finite; e and f the
// averages of the main and the auxiliary gradient, as they will be.
const uint BLOOP_SUMS = 5;

struct BloopSumsJob {
    U32   main;
    U32   auxiliary;
    F32   average;
    F32   auxiliary_average;
    U32   started; // 0 before the first step
    F32   partials;
    uint  count;
    uint  flags;
    float keep; // the averages take this of what they were
    float take; // and this of the gradients
    uint  reserved;
    uint  first_group;
};

// Words of what bloop_ratio.comp finds.
const uint BLOOP_RATIO = 0;           // <e, aux> / (|e|^2 + eps), bounded
const uint BLOOP_AUXILIARY_RATIO = 1; // <f, main> / (|f|^2 + eps), bounded
const uint BLOOP_FINITE = 2;          // 0: averages stay, nothing is projected
const uint BLOOP_FIRST = 3;           // this is the first step
const uint BLOOP_FOUND_WORDS = 4;

struct BloopRatioJob {
    F32   partials;
    U32   started;
    U32   found;
    F32   ratio;
    U32   status;
    uint  chunks; // of all parts
    uint  flags;
    float eps;
    float largest; // of a ratio
    uint  reserved;
    uint  first_group;
};

struct BloopUpdateJob {
    U32   main;
    U32   auxiliary;
    F32   average;
    F32   auxiliary_average;
    U32   found;
    U32   direction;
    uint  count;
    uint  flags;
    float keep;
    float take;
    float lambda;
    float scale;
    uint  reserved;
    uint  first_group;
};

HERON_SHARED_END

#endif
