// SPDX-License-Identifier: MIT
// The job of the network's one kernel, read by GLSL and C++.
#ifndef SAMPLES_EVOLUTION_THRESHOLD_H
#define SAMPLES_EVOLUTION_THRESHOLD_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct ThresholdJob {
    F32  values; // in place, members x rows x cols
    F32  bias;   // members x cols
    uint count;
    uint cols;
    uint member; // elements of one: rows x cols
    uint binary; // 1: values become 1 or -1
    uint reserved;
    uint first_group;
};

HERON_SHARED_END

#endif
