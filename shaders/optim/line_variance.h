// SPDX-License-Identifier: MIT
// The job of line_variance.comp.
#ifndef HERON_OPTIM_LINE_VARIANCE_H
#define HERON_OPTIM_LINE_VARIANCE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct LineVarianceJob {
    F32   squares;     // of each line: sum of its squares
    F32   variance;    // v of each line
    F32   factors;     // result
    U32   indices;     // where the v of each line is (LINE_VARIANCE_INDEXED); else any readable words, as many
    uint  segments;
    uint  lines;       // of a segment
    uint  lanes;       // invocations that share a segment, a power of two
    float mean;        // 1 / elements of a line
    float rate;        // 1 - beta2
    float eps;
    float target;      // norm that a segment is given; 0: the one that it has
    uint  flags;       // LINE_VARIANCE_
    uint  padding;
    uint  first_group;
};

const uint LINE_VARIANCE_CLAMPED = 1;         // sqrt(max(v, eps)) instead of sqrt(v) + eps
const uint LINE_VARIANCE_CLAMPED_RESCALE = 2; // max(norm, eps) instead of norm + eps
const uint LINE_VARIANCE_INDEXED = 4;

HERON_SHARED_END

#endif
