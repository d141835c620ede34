// SPDX-License-Identifier: MIT
// What a diagonal element says about a triangular matrix. The includer has included linalg/status.h and
// core/reduce.glsl.
#ifndef HERON_LINALG_TRIANGULAR_DIAGONAL_GLSL
#define HERON_LINALG_TRIANGULAR_DIAGONAL_GLSL

// Numbers that a driver may take for zero are zero. A matrix has the smallest status that is not STATUS_OK.
uint diagonal_status(float x) {
    if (is_nonfinite(x))
        return STATUS_NONFINITE;
    return abs(x) < 1.1754944e-38 ? STATUS_SINGULAR : STATUS_OK;
}

uint worse_status(uint a, uint b) { return a == STATUS_OK ? b : b == STATUS_OK ? a : min(a, b); }

#endif
