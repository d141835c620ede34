// SPDX-License-Identifier: MIT
// Loads and stores of four neighbouring elements ("quads") of gradients, states and parameters. The includer has included
// core/half.glsl and optim/parameter.h.
//
// A quad is elements i .. i + valid - 1 of a tensor, valid = 1..4; the components beyond are zero. Where i is a multiple
// of 4, the address of 16, and valid is 4, f32 goes through one 16-byte access; else element by element. Values are the
// same both ways.
#ifndef HERON_OPTIM_PARAMETER_GLSL
#define HERON_OPTIM_PARAMETER_GLSL

bool is_aligned(uint address_low, uint i, uint valid) { return ((address_low & 15u) | (i & 3u) | (4u - valid)) == 0u; }

uint load_word(U32x4 x, uint w) { return x.v[w >> 2][w & 3u]; }

// Elements of a tensor of dtype `dtype`; `wide`: see is_aligned().
vec4 load_quad(U32x4 x, uint i, uint valid, bool wide, uint dtype) {
    if (dtype == DTYPE_F32) {
        if (wide)
            return uintBitsToFloat(x.v[i >> 2]);
        vec4 quad = vec4(0.0);
        for (uint k = 0; k < valid; ++k)
            quad[k] = uintBitsToFloat(load_word(x, i + k));
        return quad;
    }
    if ((i & 1u) == 0u && valid == 4u)
        return vec4(from_word(load_word(x, i >> 1), dtype), from_word(load_word(x, (i >> 1) + 1u), dtype));
    vec4 quad = vec4(0.0);
    for (uint k = 0; k < valid; ++k) {
        vec2 pair = from_word(load_word(x, (i + k) >> 1), dtype);
        quad[k] = ((i + k) & 1u) == 0u ? pair.x : pair.y;
    }
    return quad;
}

// States lie on multiples of 16 bytes: only i and valid decide.
vec4 load_state(F32x4 x, uint i, uint valid) {
    if (is_aligned(0u, i, valid))
        return x.v[i >> 2];
    vec4 quad = vec4(0.0);
    for (uint k = 0; k < valid; ++k)
        quad[k] = x.v[(i + k) >> 2][(i + k) & 3u];
    return quad;
}

void store_state(F32x4 x, uint i, uint valid, vec4 quad) {
    if (is_aligned(0u, i, valid)) {
        x.v[i >> 2] = quad;
        return;
    }
    for (uint k = 0; k < valid; ++k)
        x.v[(i + k) >> 2][(i + k) & 3u] = quad[k];
}

// A temporary of dtype `dtype` that lies on a multiple of 16 bytes and whose quads are all this kernel's: its memory is
// padded to 16 bytes, so whole words are written at the end.
void store_temporary(U32x4 x, uint i, uint valid, vec4 quad, uint dtype) {
    if (dtype == DTYPE_F32) {
        if (valid == 4u)
            x.v[i >> 2] = floatBitsToUint(quad);
        else
            for (uint k = 0; k < valid; ++k)
                x.v[i >> 2][k] = floatBitsToUint(quad[k]);
        return;
    }
    uint w = i >> 1;
    x.v[w >> 2][w & 3u] = to_word(quad.xy, dtype);
    if (valid > 2u)
        x.v[w >> 2][(w & 3u) + 1u] = to_word(quad.zw, dtype);
}

// The tensor's own dtype, rounded to nearest even.
vec4 round_to(vec4 quad, uint dtype) {
    if (dtype == DTYPE_F32)
        return quad;
    return vec4(from_word(to_word(quad.xy, dtype), dtype), from_word(to_word(quad.zw, dtype), dtype));
}

// `words` is the same address: a word of two 16-bit elements may be shared with another job of the same dispatch.
void store_quad(U32x4 x, U32 words, uint i, uint valid, bool wide, vec4 quad, uint dtype) {
    if (dtype == DTYPE_F32) {
        if (wide)
            x.v[i >> 2] = floatBitsToUint(quad);
        else
            for (uint k = 0; k < valid; ++k)
                words.v[i + k] = floatBitsToUint(quad[k]);
    } else if ((i & 1u) == 0u && valid == 4u) {
        words.v[i >> 1] = to_word(quad.xy, dtype);
        words.v[(i >> 1) + 1u] = to_word(quad.zw, dtype);
    } else {
        for (uint k = 0; k < valid; ++k)
            store(words, i + k, quad[k], dtype);
    }
}

// Gradients as the step sees them: scaled (loss scale, micro-batches, clipping by norm), then clamped. The clamp is there
// without clipping by value too: it keeps squares and long sums of any finite gradient finite (StepControl::clip_value).
vec4 scaled_gradient(vec4 g, float gradient_scale, float clip_value) {
    return clamp(g * gradient_scale, -clip_value, clip_value);
}

// sqrt may be computed as x * inversesqrt(x), which is NaN at 0 and, where subnormals are flushed, wrong below 2^-126.
vec4 safe_sqrt(vec4 x) { return mix(vec4(0.0), sqrt(max(x, vec4(1.17549435e-38))), greaterThanEqual(x, vec4(1.17549435e-38))); }

// True where x y >= 0, without a product that underflows.
bvec4 same_direction(vec4 x, vec4 y) {
    bvec4 against = bvec4(uvec4(lessThan(x, vec4(0.0))) & uvec4(greaterThan(y, vec4(0.0))) |
                          uvec4(greaterThan(x, vec4(0.0))) & uvec4(lessThan(y, vec4(0.0))));
    return not(against);
}

#endif
