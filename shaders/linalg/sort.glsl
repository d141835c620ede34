// SPDX-License-Identifier: MIT
// Floats as unsigned words in the order that is wanted, and the order of pairs.
#ifndef HERON_LINALG_SORT_GLSL
#define HERON_LINALG_SORT_GLSL

const uint LAST_KEY = 0xffffffffu; // NaN, and what fills up the last run, whose columns are beyond all others

uint ordered_key(float x, bool descending) {
    uint bits = floatBitsToUint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return LAST_KEY;
    uint rising = (bits >> 31) != 0u ? ~bits : bits | 0x80000000u;
    return descending ? ~rising : rising;
}

bool precedes(uvec2 a, uvec2 b) { return a.x < b.x || (a.x == b.x && a.y < b.y); }

#endif
