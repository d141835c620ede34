// SPDX-License-Identifier: MIT
// What a matrix is divided by before Newton-Schulz. Included after core/reduce.glsl and
// linalg/status.h.
#ifndef HERON_LINALG_POLAR_NORM_GLSL
#define HERON_LINALG_POLAR_NORM_GLSL

// x (first times second, in this order) is x / nu with nu = factor norm + eps, or max(factor norm, eps). The norm
// itself may be outside of the range of f32: `acc` holds Blue's accumulators. nu = 0 gives (0, 0), so that a zero
// matrix stays zero; a norm that is not finite gives (1, NaN), so that no element of the matrix stays a number.
vec2 polar_scale(vec3 acc, bool clamped, float factor, float eps) {
    vec2 s = blue_scaled(acc); // norm = s.x sqrt(s.y), s.x a power of two
    if (is_nonfinite(s.y))
        return vec2(1.0, uintBitsToFloat(0x7fc00000u));
    float unscale = 1.0 / s.x; // exact
    float root = s.y == 0.0 ? 0.0 : sqrt(s.y);
    float scaled_eps = eps * unscale;
    float nu = factor * root;
    if (!clamped)
        nu += scaled_eps;
    else if (nu < scaled_eps)
        nu = scaled_eps;
    return nu == 0.0 ? vec2(0.0) : vec2(unscale, 1.0 / nu);
}

// An element of the matrix with this scale. Of what polar_scale() returns a compiler might form the product, which may
// be outside of the range of f32.
float polar_scaled(float x, vec2 scale) {
    precise float y = x * scale.x;
    y = y * scale.y;
    return y;
}

// Of the matrix with this scale.
uint polar_status(vec2 scale) { return is_nan(scale.y) ? STATUS_NONFINITE : STATUS_OK; }

#endif
