// SPDX-License-Identifier: MIT
// Products with powers of two that need not be floats themselves.
#ifndef HERON_CORE_SCALE_BY_GLSL
#define HERON_CORE_SCALE_BY_GLSL

#include "core/math.glsl"

// x 2^e for any e.
float scale_by(float x, int e) {
    int first = clamp(e / 2, -126, 126);
    int rest = clamp(e - first, -126, 126);
    precise float y = x * power_of_two(first);
    y = y * power_of_two(rest);
    return y;
}

#endif
