// SPDX-License-Identifier: MIT
// One rotation of Jacobi's method for symmetric matrices.
#ifndef HERON_LINALG_JACOBI_ROTATION_GLSL
#define HERON_LINALG_JACOBI_ROTATION_GLSL

// s and tau; zero where nothing is to be done.
vec2 rotation_of(float app, float aqq, float apq, out float t) {
    t = 0.0;
    float size = abs(apq);
    // Two roots, since the product may underflow.
    if (size < 7.9e-31 || size <= 5.9604645e-8 * sqrt(abs(app)) * sqrt(abs(aqq)))
        return vec2(0.0);
    float theta = (aqq - app) / (2.0 * apq);
    float large = abs(theta);
    t = large > 1e9 ? 0.5 / large : 1.0 / (large + sqrt(1.0 + large * large));
    if (theta < 0.0)
        t = -t;
    float square = 1.0 + t * t;
    float c = inversesqrt(square);
    c = c * (1.5 - 0.5 * square * c * c);
    float s = t * c;
    return vec2(s, s / (1.0 + c));
}

#endif
