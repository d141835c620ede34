// SPDX-License-Identifier: MIT
// Pivots of Cholesky factors. The includer has included core/reduce.glsl.
#ifndef HERON_LINALG_CHOLESKY_ROOT_GLSL
#define HERON_LINALG_CHOLESKY_ROOT_GLSL

// A pivot must be above `least`: below, it is nothing but rounding errors. Subnormal ones have no reciprocal root.
bool is_pivot(float x, float least) { return !is_nonfinite(x) && x > least && x >= 1.1754944e-38; }

// 1 / sqrt(x) for normal x, to an ulp or so whatever the driver's inversesqrt is worth.
float reciprocal_root(float x) {
    precise float r = inversesqrt(x);
    precise float error = 1.0 - (x * r) * r;
    r = r + 0.5 * r * error;
    return r;
}

// sqrt(x), given r = 1 / sqrt(x).
float root(float x, float r) {
    precise float s = x * r;
    s = s + 0.5 * r * (x - s * s);
    return s;
}

#endif
