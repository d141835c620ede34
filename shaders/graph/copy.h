// SPDX-License-Identifier: MIT
#ifndef HERON_GRAPH_COPY_H
#define HERON_GRAPH_COPY_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint COPY_WORDS_PER_GROUP = 1024;

struct CopyJob {
    U32  from;
    U32  to;
    uint words;
    uint first_group;
};

HERON_SHARED_END

#endif
