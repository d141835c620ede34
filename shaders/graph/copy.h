// SPDX-License-Identifier: MIT
#ifndef HERON_GRAPH_COPY_H
#define HERON_GRAPH_COPY_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint COPY_QUADS_PER_GROUP = 1024;

// Both addresses are multiples of 16 where quads is not 0.
struct CopyJob {
    U32x4 from;
    U32x4 to;
    U32   from_words; // the same addresses
    U32   to_words;
    uint  quads;      // groups of four words, copied first
    uint  words;      // then single words, fewer than a workgroup copies
    uint  unused;
    uint  first_group;
};

HERON_SHARED_END

#endif
