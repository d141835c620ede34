// SPDX-License-Identifier: MIT
// Loads and stores of moments in the format that they are kept in. The includer's job struct has members of
// MomentOperand, and it has included optim/parameter.glsl.
#ifndef HERON_OPTIM_MOMENT_GLSL
#define HERON_OPTIM_MOMENT_GLSL

#include "linalg/philox.glsl"

layout(constant_id = SPEC_DTYPE_C) const uint MOMENT_DTYPE = DTYPE_F32;

vec4 load_moment(U32x4 x, uint i, uint valid) { return load_quad(x, i, valid, is_wide(0u, i, valid), MOMENT_DTYPE); }

// Random bits for the elements i .. i + 3, 32 each, of which a rounding takes the lower 16: two moments of a parameter
// share them.
uvec4 moment_draws(uint parameter, uint i) {
    if (MOMENT_DTYPE == DTYPE_F32)
        return uvec4(0u);
    return philox(uvec4(i, p.control.c.step, parameter, MOMENT_STREAM), uvec2(p.control.c.seed, 0u));
}

// The neighbour with the larger magnitude with a probability of the lost bits / 2^16: the expectation is x, exactly.
// At the end of the range, the largest finite number.
vec4 round_stochastically(vec4 x, uvec4 draws) {
    uvec4 bits = floatBitsToUint(x);
    uvec4 magnitude = min((bits & 0x7fffffffu) + (draws & 0xffffu), uvec4(0x7f7fffffu));
    return uintBitsToFloat((bits & 0x80000000u) | (magnitude & 0xffff0000u));
}

float rounded_moment(float value, uint draw) {
    return MOMENT_DTYPE == DTYPE_F32 ? value : round_stochastically(vec4(value), uvec4(draw)).x;
}

// Returns what it has stored.
vec4 store_moment(U32x4 x, U32 words, uint i, uint valid, vec4 value, uvec4 draws) {
    if (MOMENT_DTYPE != DTYPE_F32)
        value = round_stochastically(value, draws);
    store_quad(x, words, i, valid, is_wide(0u, i, valid), value, MOMENT_DTYPE);
    return value;
}

#endif
