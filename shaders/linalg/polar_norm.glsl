// SPDX-License-Identifier: MIT
// What a matrix is divided by before Newton-Schulz. Included after core/reduce.glsl.
#ifndef HERON_LINALG_POLAR_NORM_GLSL
#define HERON_LINALG_POLAR_NORM_GLSL

// x (first times second, in this order) is x / nu with nu = factor norm + eps, or max(factor norm, eps). The norm itself
// may be outside of the range of f32: `acc` holds Blue's accumulators. nu = 0 gives (0, 0), so that a zero matrix stays
// zero; a NaN in the matrix gives NaN.
vec2 polar_scale(vec3 acc, bool clamped, float factor, float eps) {
    vec2 s = blue_scaled(acc);     // norm = s.x sqrt(s.y), s.x a power of two
    float unscale = 1.0 / s.x;     // exact
    float root = s.y == 0.0 || is_nonfinite(s.y) ? s.y : sqrt(s.y);
    float scaled_eps = eps * unscale;
    float nu = factor * root;
    if (!clamped)
        nu += scaled_eps;
    else if (nu < scaled_eps)
        nu = scaled_eps;
    return nu == 0.0 ? vec2(0.0) : vec2(unscale, 1.0 / nu);
}

#endif
