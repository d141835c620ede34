// SPDX-License-Identifier: MIT
// Job of matrix_power.comp: W = V diag(f(lambda)).
#ifndef HERON_LINALG_MATRIX_POWER_H
#define HERON_LINALG_MATRIX_POWER_H

#include "core/shared.h"

HERON_SHARED_BEGIN

struct MatrixPowerJob {
    F32   v;
    F32   values;      // ascending
    F32   w;           // contiguous
    U32   eigh_status; // one word a matrix
    U32   status;
    uint  order;
    uint  v_stride;
    uint  v_item;
    uint  chunks;      // workgroups of a matrix
    uint  row_chunks;
    float exponent_high; // at most 12 bits, so that its product with the exponent of a float is exact
    float exponent_low;
    float damping;
    float relative_damping;
    float floor;
    uint  rule;        // heron::SpectrumFloor
    uint  has_status;
    float absolute_floor;
    uint  first_group;
};
const uint FLOOR_RAISE = 0;
const uint FLOOR_SHIFT = 1;
const uint FLOOR_DROP = 2;
const uint FLOOR_LEVEL = 3;
const uint FLOOR_CLEAR = 4;
const uint FLOOR_EXACT = 5;

const uint POWER_ROWS = 64; // of an invocation

HERON_SHARED_END

#endif
