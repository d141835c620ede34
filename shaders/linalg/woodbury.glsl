// SPDX-License-Identifier: MIT
// What the Woodbury kernels share. The includer has included linalg/woodbury.h and core/kernel.glsl.
#ifndef HERON_LINALG_WOODBURY_GLSL
#define HERON_LINALG_WOODBURY_GLSL

#include "core/half.glsl"
#include "core/math.glsl"
#include "core/reduce.glsl"
#include "linalg/status.h"

// The smallest e with x <= 2^e, within [-126, 126], so that 2^e and 2^-e are normal numbers.
int woodbury_exponent(float x) {
    uint bits = floatBitsToUint(x) & 0x7fffffffu;
    int e = int(max(bits >> 23, 1u)) - 127 + ((bits & 0x7fffffu) != 0u ? 1 : 0);
    return clamp(e, -126, 126);
}

// x 2^e for e within [-252, 252].
float woodbury_scale(float x, int e) {
    int first = clamp(e, -126, 126);
    precise float y = x * power_of_two(first);
    y = y * power_of_two(e - first);
    return y;
}

// Whether x is a positive normal number: by its bits, since devices may take subnormal numbers for zeros.
bool woodbury_is_positive(float x) {
    uint bits = floatBitsToUint(x);
    return bits >= 0x00800000u && bits < 0x7f800000u;
}

// Row of the newest gradient: the one before the next slot.
uint woodbury_newest(uint slot, uint rows) {
    uint next = min(slot, rows - 1);
    return next == 0 ? rows - 1 : next - 1;
}

// (tile row, tile column) of tile t on and above the diagonal of side x side tiles, row by row.
uvec2 woodbury_tile(uint t, uint side) {
    uint row = 0;
    uint length = side;
    while (t >= length && length > 1) {
        t -= length;
        --length;
        ++row;
    }
    return uvec2(row, row + t);
}

#endif
