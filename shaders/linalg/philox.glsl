// SPDX-License-Identifier: MIT
// Philox 4x32-10 (Salmon et al., SC 2011) and what turns its words into numbers. Only basic arithmetic: the drivers'
// log, sin and cos are allowed errors of 2^-21 and 2^-11.
#ifndef HERON_LINALG_PHILOX_GLSL
#define HERON_LINALG_PHILOX_GLSL

// PHILOX_COMPACT: for kernels whose code would be long else; they enable GL_EXT_control_flow_attributes.
#ifdef PHILOX_COMPACT
#define PHILOX_LOOP [[dont_unroll]]
#else
#define PHILOX_LOOP
#endif

uvec4 philox(uvec4 counter, uvec2 key) {
    PHILOX_LOOP for (uint k = 0; k < 10; ++k) {
        uint high0, low0, high1, low1;
        umulExtended(counter.x, 0xd2511f53u, high0, low0);
        umulExtended(counter.z, 0xcd9e8d57u, high1, low1);
        counter = uvec4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
        key += uvec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return counter;
}

// In (0, 1], a multiple of 2^-24.
float positive_uniform(uint word) { return float((word >> 8) + 1u) * 5.9604645e-8; }

// -log(u) for a positive normal u = m 2^e with m in [0.7, 1.42), within 2 u. Sums and products alone, none contracted:
// the same bits on every device that rounds to nearest. log m = x - x^2 / 2 + x^3 p(x), with x = m - 1 (exact) and p
// from interpolation in Chebyshev nodes; log 2 in two parts, of which the first times an exponent is exact.
float minus_log(float u) {
    uint bits = floatBitsToUint(u) + 0x004b0000u; // mantissas from 1.414 on move to the next exponent
    float e = float(int(bits >> 23) - 127);
    precise float x = uintBitsToFloat((bits & 0x7fffffu) + 0x3f350000u) - 1.0;
    precise float z = x * x;
    precise float p = -0.0797601640;
    p = p * x + 0.127378225;
    p = p * x - 0.130229086;
    p = p * x + 0.142027736;
    p = p * x - 0.166384518;
    p = p * x + 0.200013325;
    p = p * x - 0.250003576;
    p = p * x + 0.333333284;
    precise float rest = p * x * z - 0.5 * z - e * 2.12194440e-4;
    precise float result = (e * -0.693359375 - x) - rest;
    return result;
}

// (cos, sin) of an angle that is uniform on the circle: a quarter from the upper two bits, and in it [-pi / 4, pi / 4)
// by the series.
vec2 direction(uint word) {
    uint quarter = word >> 30;
    float f = float((word >> 6) & 0xffffffu) * 5.9604645e-8 - 0.5;
    precise float a = f * 1.57079637;
    precise float z = a * a;
    precise float s = 1.0 / 362880.0;
    s = s * z - 1.0 / 5040.0;
    s = s * z + 1.0 / 120.0;
    s = s * z - 1.0 / 6.0;
    precise float sine = a + a * (z * s);
    precise float c = -1.0 / 3628800.0;
    c = c * z + 1.0 / 40320.0;
    c = c * z - 1.0 / 720.0;
    c = c * z + 1.0 / 24.0;
    c = c * z - 0.5;
    precise float cosine = 1.0 + z * c;
    vec2 turned = (quarter & 1u) == 0u ? vec2(cosine, sine) : vec2(-sine, cosine);
    return (quarter & 2u) == 0u ? turned : -turned;
}

// Two independent normal numbers (Box, Muller 1958).
vec2 normal_pair(uint radius_word, uint angle_word) {
    float square = 2.0 * minus_log(positive_uniform(radius_word));
    float radius = square > 0.0 ? sqrt(square) : 0.0; // sqrt may be computed as x * inversesqrt(x)
    return radius * direction(angle_word);
}

#endif
