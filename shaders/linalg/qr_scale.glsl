// SPDX-License-Identifier: MIT
// The power of two that a matrix is divided by before its elements are squared: exact both ways.
#ifndef HERON_LINALG_QR_SCALE_GLSL
#define HERON_LINALG_QR_SCALE_GLSL

// Exponent k with 2^k <= norm < 2^(k + 1), within [-125, 125]; 0 for zero and for what is not finite.
int scale_exponent(float norm) {
    uint bits = floatBitsToUint(norm) & 0x7fffffffu;
    if (bits < 0x00800000u || bits >= 0x7f800000u)
        return 0;
    return clamp(int(bits >> 23) - 127, -125, 125);
}

float exact_power_of_two(int k) { return uintBitsToFloat(uint(k + 127) << 23); }

#endif
