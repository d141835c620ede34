// SPDX-License-Identifier: MIT
// Jobs of the block-wise quantiser: one matrix each.
#ifndef HERON_LINALG_QUANTIZE_H
#define HERON_LINALG_QUANTIZE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// How codes lie in words, and what they stand for.
struct QuantizeCode {
    uint  bits;      // of a code: 2, 4, 8; 32: elements as they are, without absmax and diagonal
    uint  block;     // elements that share a scale
    uint  blocks;    // of a row
    uint  words;     // of a row
    float step_high; // 2 / (2^bits - 1) as f32, in two parts: products with 8 bits are exact
    float step_low;
};

struct QuantizeJob {
    F32  from;
    U32  codes;
    F32  absmax;
    F32  diagonal;     // QUANTIZE_DIAGONAL
    U32  status;       // QUANTIZE_STATUS
    U32  failures;     // QUANTIZE_FAILURES
    QuantizeCode code;
    uint rows;
    uint cols;
    uint row_stride;   // elements of `from` from row to row
    uint col_stride;   // ... and from column to column
    float identity;    // QUANTIZE_IDENTITY: in place of `from`, that many times the identity
    uint flags;        // QUANTIZE_
    uint padding;
    uint first_group;
};

struct DequantizeJob {
    U32  codes;
    F32  absmax;
    F32  diagonal;     // QUANTIZE_DIAGONAL
    F32  to;
    QuantizeCode code;
    uint rows;
    uint cols;
    uint row_stride;   // of `to`
    uint rounds;       // words for each invocation
    uint flags;        // QUANTIZE_
    uint first_group;
};

const uint QUANTIZE_DIAGONAL = 1;
const uint QUANTIZE_STATUS = 2;
const uint QUANTIZE_FAILURES = 4;
const uint QUANTIZE_IDENTITY = 8;

HERON_SHARED_END

#endif
