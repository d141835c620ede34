// SPDX-License-Identifier: MIT
// f32, f16 and bf16 elements in 32-bit words: 16-bit data on devices without any 16-bit feature.
//
// `x` is a reference to the words of a tensor, `i` an element index, `dtype` one of the DTYPE_ constants of shared.h
// (a specialization constant, so that the branches vanish). Rounding is to nearest even, NaN stays NaN, subnormals are
// kept: bit for bit what heron::f32_to_f16 and its siblings do on the host.
#ifndef HERON_CORE_HALF_GLSL
#define HERON_CORE_HALF_GLSL

#include "core/shared.h"

float f16_to_f32(uint bits) { return unpackHalf2x16(bits & 0xffffu).x; }
float bf16_to_f32(uint bits) { return uintBitsToFloat(bits << 16); }

// Not packHalf2x16: its rounding is the driver's choice (lavapipe truncates).
uint f32_to_f16(float value) {
    uint bits = floatBitsToUint(value);
    uint sign = (bits >> 16) & 0x8000u;
    uint magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) // the quiet bit keeps a NaN whose payload lies in the lost bits
        return sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    if (magnitude >= 0x47800000u) // 65536 and above
        return sign | 0x7c00u;
    if (magnitude >= 0x38800000u) { // a carry may run into the exponent, up to infinity, which is right
        uint wide = magnitude - 0x38000000u;
        return sign | ((wide + 0xfffu + ((wide >> 13) & 1u)) >> 13);
    }
    if (magnitude < 0x33000000u) // below half of the smallest subnormal
        return sign;
    uint shift = 126u - (magnitude >> 23); // 14..24: a subnormal, in units of 2^-24
    uint mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    uint kept = mantissa >> shift;
    uint lost = mantissa & ((1u << shift) - 1u);
    uint tie = 1u << (shift - 1u);
    return sign | (kept + uint(lost > tie || (lost == tie && (kept & 1u) != 0u)));
}

uint f32_to_bf16(float value) {
    uint bits = floatBitsToUint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// The 16 bits that `value` has in an f16 or bf16 tensor.
uint to_16bit(float value, uint dtype) { return dtype == DTYPE_F16 ? f32_to_f16(value) : f32_to_bf16(value); }

// Both elements of a word: x is the one with the lower index.
vec2 from_word(uint word, uint dtype) {
    if (dtype == DTYPE_F16)
        return unpackHalf2x16(word);
    return vec2(uintBitsToFloat(word << 16), uintBitsToFloat(word & 0xffff0000u));
}
uint to_word(vec2 pair, uint dtype) { return to_16bit(pair.x, dtype) | (to_16bit(pair.y, dtype) << 16); }

// Keeps finite elements; beyond: the largest finite number of `dtype` with the sign, which NaN gets too. By bits: a
// compiler may take min(x, FLT_MAX) for x.
vec4 clamp_finite(vec4 x, uint dtype) {
    uint largest = dtype == DTYPE_F32 ? 0x7f7fffffu : dtype == DTYPE_F16 ? 0x477fe000u : 0x7f7f0000u;
    uvec4 bits = floatBitsToUint(x);
    return uintBitsToFloat((bits & 0x80000000u) | min(bits & 0x7fffffffu, uvec4(largest)));
}
float clamp_finite(float x) { return clamp_finite(vec4(x), DTYPE_F32).x; }

float load(U32 x, uint i, uint dtype) {
    if (dtype == DTYPE_F32)
        return uintBitsToFloat(x.v[i]);
    uint bits = (x.v[i >> 1] >> ((i & 1u) << 4)) & 0xffffu;
    return dtype == DTYPE_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

// The bits that `value` has in a tensor of that type: 32 of them, or the lower 16.
uint to_bits(float value, uint dtype) { return dtype == DTYPE_F32 ? floatBitsToUint(value) : to_16bit(value, dtype); }

// Elements i and i + 1 with i even, both owned by this invocation.
void store_bits_pair(U32 x, uint i, uint first, uint second, uint dtype) {
    if (dtype == DTYPE_F32) {
        x.v[i] = first;
        x.v[i + 1] = second;
    } else {
        x.v[i >> 1] = first | (second << 16);
    }
}
void store_pair(U32 x, uint i, vec2 pair, uint dtype) {
    store_bits_pair(x, i, to_bits(pair.x, dtype), to_bits(pair.y, dtype), dtype);
}

// One element, whoever owns its neighbour in the word. The other half of the word keeps its bits whatever the order, so
// the result is deterministic; slower than store_pair where the type has 16 bits.
void store_bits(U32 x, uint i, uint bits, uint dtype) {
    if (dtype == DTYPE_F32) {
        x.v[i] = bits;
    } else {
        uint shift = (i & 1u) << 4;
        atomicAnd(x.v[i >> 1], 0xffff0000u >> shift);
        atomicOr(x.v[i >> 1], bits << shift);
    }
}
void store(U32 x, uint i, float value, uint dtype) { store_bits(x, i, to_bits(value, dtype), dtype); }

#endif
