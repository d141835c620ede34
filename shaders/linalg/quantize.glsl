// SPDX-License-Identifier: MIT
// Levels and codes of the quantiser, the same bits on every device.
#ifndef HERON_LINALG_QUANTIZE_GLSL
#define HERON_LINALG_QUANTIZE_GLSL

// sign(q) q^2, q = -1 + k step, counted from the nearer end, rounded once; 0 where the middle is not in the map. The
// step's high part times k, and 1 less, is exact, and so is the low part times k: whether their sum is fused or not
// does not matter.
float level_of(uint k, uint bits, float step_high, float step_low) {
    uint last = (1u << bits) - 1u;
    uint middle = last >> 1;
    bool below = k <= middle;
    float steps = float(below ? k : last - k);
    precise float coarse = steps * step_high - 1.0;
    precise float q = coarse + steps * step_low;
    precise float square = q * q;
    return k == middle ? 0.0 : below ? -square : square;
}

// The code of the nearest level; in the middle between two, the even one of both codes.
uint code_of(float x, uint bits, float step_high, float step_low) {
    uint low = 0u; // the code is low .. high
    uint high = (1u << bits) - 1u;
    for (uint r = 0u; r < bits; ++r) {
        uint k = (low + high) >> 1;
        precise float sum = level_of(k, bits, step_high, step_low) + level_of(k + 1u, bits, step_high, step_low);
        float border = 0.5 * sum;
        bool above = x > border || (x == border && (k & 1u) != 0u);
        if (above)
            low = k + 1u;
        else
            high = k;
    }
    return low;
}

// 1 / x, correctly rounded, for a normal x below 2^126: division may be off by 2.5 ulp. Long division of the mantissas.
float exact_reciprocal(float x) {
    uint bits = floatBitsToUint(x);
    uint exponent = bits >> 23;
    uint mantissa = (bits & 0x7fffffu) | 0x800000u;
    if (mantissa == 0x800000u)
        return uintBitsToFloat((254u - exponent) << 23);
    // 2^47 / mantissa lies between 2^23 and 2^24: 24 bits of it, then what is left decides.
    uint quotient = 0u;
    uint rest = 0x800000u; // 2^23 / mantissa is 0, rest 2^23
    for (uint r = 0u; r < 24u; ++r) {
        rest <<= 1;
        uint bit = rest >= mantissa ? 1u : 0u;
        rest -= bit * mantissa;
        quotient = (quotient << 1) | bit;
    }
    quotient += 2u * rest > mantissa ? 1u : 0u;
    // 1 / (m 2^-23 2^(e - 127)) = q 2^-23 2^(126 - e); a carry to 2^24 runs into the exponent, which is right.
    return uintBitsToFloat(((253u - exponent) << 23) + (quotient - 0x800000u));
}

#endif
