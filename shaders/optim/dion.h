// SPDX-License-Identifier: MIT
// Jobs of Dion's own kernels; momentum and weight update are Muon's.
#ifndef HERON_OPTIM_DION_H
#define HERON_OPTIM_DION_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// dion_basis.comp
struct DionBasisJob {
    F32   product;       // R, rows x cols
    F32   basis;         // Q, rows x cols
    F32   factor;        // rows x cols: R with normalized columns
    F32   partials;      // Blue's sums of the momentum's squares, three floats each
    uint  partial_count;
    uint  rows;
    uint  cols;
    float eps;
    uint  tensor;        // of the random numbers
    uint  first_group;
};

// dion_pivots.comp
struct DionPivotsJob {
    F32   factor;      // n x n, upper triangular
    uint  n;
    float tolerance;   // smallest diagonal element over the largest
    uint  reserved;
    uint  first_group;
};

// Streams of random numbers: what a parameter draws them for.
const uint DION_STREAM_START = 0;  // the first Q
const uint DION_STREAM_SKETCH = 1; // rcqr
const uint DION_STREAM_REVIVE = 2; // columns of Q that have vanished

HERON_SHARED_END

#endif
