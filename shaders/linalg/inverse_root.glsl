// SPDX-License-Identifier: MIT
// Rules of the inverse roots: scaling by powers of two, damping, when an iteration stops. The includer has included
// linalg/inverse_root.h.
#ifndef HERON_LINALG_INVERSE_ROOT_GLSL
#define HERON_LINALG_INVERSE_ROOT_GLSL

#include "core/double_float.glsl"
#include "core/math.glsl"
#include "core/reduce.glsl"
#include "core/scale_by.glsl"
#include "linalg/status.h"

// Norms are in units of 2^13, so that sums of 4096 elements do not overflow, or, where the largest element is small, of
// 2^-40, so that none becomes subnormal, which drivers may flush.
const int   ROOT_UNIT_LARGE = 13;
const int   ROOT_UNIT_SMALL = -40;
const float ROOT_SMALL = 9.094947e-13; // 2^-40

int root_unit(float largest) { return largest >= ROOT_SMALL ? ROOT_UNIT_LARGE : ROOT_UNIT_SMALL; }
float root_in_unit(float x, int unit) { return x * (unit == ROOT_UNIT_LARGE ? 1.0 / 8192.0 : 1099511627776.0); }

// (x + y) / 2 of any floats: a compiler may add before it halves, which overflows.
float mean_of(float x, float y) {
    precise float a = 0.5 * x;
    precise float b = 0.5 * y;
    return a + b;
}

float ratio_of(float x, float y) { return y > 0.0 ? quotient(x, y) : 0.0; }

// The smallest e with x <= 2^e, for finite positive x; subnormals count as the smallest normal number.
int exponent_above(float x) {
    uint bits = floatBitsToUint(x);
    return int(max(bits >> 23, 1u)) - 127 + ((bits & 0x7fffffu) != 0u ? 1 : 0);
}

// floor(product / d), and what it leaves.
ivec2 whole_and_rest(int product, int d) {
    int whole = (product >= 0 ? product : product - d + 1) / d;
    return ivec2(whole, product - whole * d);
}

// x 2^(e numerator / denominator)
float scale_by_power(float x, int e, int numerator, uint denominator) {
    int d = int(denominator);
    ivec2 power = whole_and_rest(e * numerator, d);
    if (power.y != 0)
        x *= exp_accurate(float(power.y) / float(d) * 0.693147181);
    return scale_by(x, power.x);
}

// The same of two words, rounded once.
float scale_by_power(vec2 x, int e, int numerator, uint denominator) {
    int d = int(denominator);
    ivec2 power = whole_and_rest(e * numerator, d);
    if (power.y != 0) {
        // One step of Newton's for f^d = 2^rest: d times the square of what f is off by is far below u.
        float f = exp_accurate(float(power.y) / float(d) * 0.693147181);
        vec2 one = vec2(scale_by(1.0, -power.y), 0.0);
        for (int i = 0; i < d; ++i)
            one = df_multiply(one, vec2(f, 0.0));
        float off = df_add(one, vec2(-1.0, 0.0)).x;
        x = df_multiply(x, df_normalized(f, -f * off / float(d)));
    }
    return scale_by(x.x, power.x);
}

// The largest norm that Newton's M may begin with. (p + 1) / 2 gives small eigenvalues the best start, but of the largest
// an iteration makes m ((p + 1 - m) / p)^p, which is too little for p > 4: (p + 1) / 2 times e 2^-p in the end.
float root_largest_norm(uint root) { return min(0.5 * (float(root) + 1.0), 2.5); }

// Of one matrix.
struct RootScale {
    float damping;  // in units of 2^unit
    int   exponent; // of c: |A + damping I|_2 <= norm c
};

// From norms in units of 2^unit, which is root_unit() of the largest element and of the absolute damping.
RootScale root_scale(int unit, float infinity_norm, float frobenius_norm, float mean, float max_diagonal,
                     uint relative_to, float absolute, float relative, float norm) {
    float reference = relative_to == ROOT_SCALE_MEAN       ? mean
                      : relative_to == ROOT_SCALE_INFINITY ? infinity_norm
                                                           : max_diagonal;
    RootScale s;
    s.damping = max(root_in_unit(absolute, unit), relative * max(reference, 0.0));
    float bound = min(infinity_norm, frobenius_norm) + s.damping;
    s.exponent = exponent_above(bound / norm) + unit;
    return s;
}

// A negative eigenvalue of M grows by ((root + 1) / root)^root an iteration, as a positive one does: one of which
// nothing was seen for so long began as a few rounding errors, 2^-22 of the largest one, that a singular matrix has in
// its place.
bool root_began_as_rounding(uint iteration, uint root) {
    return float(iteration * root) * log(1.0 + 1.0 / float(root)) > 10.65; // 0.01 2^22
}

// What becomes of a matrix of n rows whose iterate number `iteration` has an error with these bits. `bounded`: M, which
// is watched, lies between 0 and I if A does not have negative eigenvalues.
uint root_verdict(uint iteration, uint root, uint n, uint error_bits, float previous, float tolerance, bool bounded) {
    float error = uintBitsToFloat(error_bits);
    uint negative = bounded && root_began_as_rounding(iteration, root) ? ROOT_SINGULAR : ROOT_INDEFINITE;
    if (error_bits >= 0x7f800000u)
        return iteration == 1 || bounded ? negative : ROOT_STAGNATED;
    if (bounded && error > 1.01)
        return negative;
    if (error <= tolerance)
        return ROOT_CONVERGED;
    // One eigenvalue far from 1 is 1 / n in elements if its eigenvector has many. A bounded M has converged in all of
    // them before its error grows for good: before, it waits for small eigenvalues, or grows without end with a negative
    // one, until that is seen above.
    bool near = bounded ? float(n) * previous < 0.5 : previous < 0.1;
    if (iteration > 1 && (near ? error >= previous : !bounded && error > 1.2 * previous))
        return ROOT_STAGNATED;
    return ROOT_RUNNING;
}

// What of its largest diagonal element is added to that of a matrix of n rows without a Cholesky factor, to see whether
// rounding errors are all that it lacks: four times what cholesky() takes a pivot for zero below.
float root_raise(uint n) { return 8.0 * sqrt(float(n)) * 5.9604645e-8; }

// T = ((p + 1) I - M) / p, of one element of M and I.
float root_factor(float m, float one, uint root) { return ((float(root) + 1.0) * one - m) * (1.0 / float(root)); }
vec2 root_factor(vec2 m, float one, uint root) {
    return df_divide(df_add(vec2((float(root) + 1.0) * one, 0.0), -m), vec2(float(root), 0.0));
}

bool root_failed(uint verdict) { return verdict >= ROOT_INDEFINITE; }

// Rounding errors stop some matrices a little above the tolerance: these are as good as f32 makes them.
uint root_status(uint verdict, float error, float tolerance) {
    if (verdict == ROOT_NONFINITE)
        return STATUS_NONFINITE;
    if (verdict == ROOT_SINGULAR)
        return STATUS_SINGULAR;
    if (verdict == ROOT_INDEFINITE)
        return STATUS_INDEFINITE;
    return error <= 64.0 * tolerance ? STATUS_OK : STATUS_NOT_CONVERGED;
}

#endif
