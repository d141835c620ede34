// SPDX-License-Identifier: MIT
// A Gram matrix over the power of two of its trace, so that its elements fit double-float arithmetic.
#ifndef HERON_AGGREGATE_SCALED_GRAM_GLSL
#define HERON_AGGREGATE_SCALED_GRAM_GLSL

#include "core/double_float.glsl"
#include "core/reduce.glsl"
#include "core/scale_by.glsl"

float gram_trace(F32 gram, uint k) {
    float trace = 0.0;
    for (uint i = 0; i < k; ++i)
        trace += gram.v[min(i, k - 1) * (k + 1)];
    return trace;
}

// The e with 2^e <= x < 2^(e + 1), for a positive normal x.
int exponent_of(float x) { return int(floatBitsToUint(x) >> 23) - 127; }

#endif
