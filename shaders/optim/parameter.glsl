// SPDX-License-Identifier: MIT
// Loads and stores of four neighbouring elements ("quads") of gradients, states and parameters. The includer has
// included core/kernel.glsl, core/half.glsl and optim/parameter.h, and its job struct has the member `ElementRange
// range`.
//
// A quad is elements i .. i + valid - 1 of a tensor, valid = 1..4; the components beyond are zero. Without
// ELEMENTS_SINGLE: where i is a multiple of 4, the address of 16, and valid is 4, f32 goes through one 16-byte access.
// With ELEMENTS_ROWS: where the invocations of a subgroup have neighbouring quads, all of them whole, f32 is loaded from
// addresses that all of them share, and each keeps its own. lavapipe 26.1 then blends what it has loaded once, in place
// of a gather. (Two Zen 4 cores, AdamW of 4 million parameters: 9.8 ms, with gathers 13.3.)
// With ELEMENTS_APART, besides, of kernels that treat each element by itself and have nothing but f32, all of it from the
// beginning of the range: of such a row component k of invocation l is element LANES k + l, loaded and stored, and not
// 4 l + k. What a subgroup loads are vectors then. (Two Zen 5 cores, AdamW of 16.7 million parameters: 49 to 57 ms by rows
// alone, 35 to 43 so.) Values are the same all ways.
#ifndef HERON_OPTIM_PARAMETER_GLSL
#define HERON_OPTIM_PARAMETER_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

#include "core/lanes.glsl"

layout(constant_id = SPEC_FLAGS) const uint FLAGS = 0;
const bool SINGLE = (FLAGS & ELEMENTS_SINGLE) != 0u;
const bool ROWS = (FLAGS & ELEMENTS_ROWS) != 0u;
const bool APART = (FLAGS & ELEMENTS_APART) != 0u;

// --- Which quads are whose: `rounds` for every invocation, quad(begin, r) for r = 0, 1, ..., below quad_count().

uint quad_count(uint j) { return (p.jobs.job[j].range.count >> 2) + uint((p.jobs.job[j].range.count & 3u) != 0u); }

// Of ELEMENTS_ROWS: the first quad of this subgroup in the first round, in this one, and how many of the range are whole.
uint row_begin = 0u;
uint row_now = 0u;
uint row_quads = 0u;

uint quad_begin(uint j, uint group, uint rounds) {
    uint before = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x;
    if (ROWS) {
        row_quads = p.jobs.job[j].range.count >> 2;
        row_begin = before * rounds + gl_SubgroupID * gl_SubgroupSize;
        return row_begin + gl_SubgroupInvocationID;
    }
    return SINGLE ? (before + gl_LocalInvocationID.x) * rounds : before * rounds + gl_LocalInvocationID.x;
}

uint quad_at(uint begin, uint r) {
    if (ROWS) {
        row_now = row_begin + r * gl_WorkGroupSize.x;
        return row_now + gl_SubgroupInvocationID;
    }
    return SINGLE ? begin + r : begin + r * gl_WorkGroupSize.x;
}

// --- Access

bool is_wide(uint address_low, uint i, uint valid) {
    return !SINGLE && ((address_low & 15u) | (i & 3u) | (4u - valid)) == 0u;
}

// Whether all quads of the subgroup are whole, and this invocation's has elements i to i + 3: not those of some other
// place. (The second is a constant to the compiler where it is so.)
bool is_row() { return ROWS && row_now + gl_SubgroupSize <= row_quads; }
bool is_in_row(uint i) { return i == 4u * (row_now + gl_SubgroupInvocationID); }

// Of ELEMENTS_APART, in words from the beginning of the row: where invocation l has its component k.
uint apart(uint k, uint l) { return LANES * k + l; }

// A macro, because x is of one of two types.
#define LOAD_ROW(quad, x)                                                                                              \
    if (APART) {                                                                                                       \
        [[unroll]] for (uint k = 0u; k < 4u; ++k) {                                                                    \
            quad[k] = x.v[row_now + apart(k, 0u) / 4u].x;                                                              \
            [[unroll]] for (uint l = 1u; l < 16u; ++l)                                                                 \
                if (l < LANES)                                                                                         \
                    quad[k] = mix(quad[k], x.v[row_now + apart(k, l) / 4u][l & 3u], gl_SubgroupInvocationID == l);     \
        }                                                                                                              \
    } else {                                                                                                           \
        quad = x.v[row_now];                                                                                           \
        [[unroll]] for (uint l = 1u; l < 16u; ++l)                                                                     \
            if (l < gl_SubgroupSize)                                                                                   \
                quad = mix(quad, x.v[row_now + l], bvec4(gl_SubgroupInvocationID == l));                               \
    }

// Where component k of the quad that begins with element i is stored, in words.
uint place_in_row(uint i, uint k) { return APART ? 4u * row_now + apart(k, gl_SubgroupInvocationID) : i + k; }

uint load_word(U32x4 x, uint w) { return x.v[w >> 2][w & 3u]; }
float load_float(F32x4 x, uint i) { return x.v[i >> 2][i & 3u]; }

// The first `valid` components, zeros behind.
vec4 keep_valid(vec4 quad, uint valid) {
    return mix(vec4(0.0), quad, lessThan(uvec4(0u, 1u, 2u, 3u), uvec4(valid)));
}

// Elements of a tensor of dtype `dtype`; `wide`: see is_wide().
vec4 load_quad(U32x4 x, uint i, uint valid, bool wide, uint dtype) {
    if (dtype == DTYPE_F32 && wide)
        return uintBitsToFloat(x.v[i >> 2]);
    if (dtype == DTYPE_F32 && is_row())
        if (is_in_row(i)) {
            uvec4 quad;
            LOAD_ROW(quad, x)
            return uintBitsToFloat(quad);
        }
    uint last = i + valid - 1u;
    uvec4 at = min(i + uvec4(0u, 1u, 2u, 3u), uvec4(last));
    if (dtype == DTYPE_F32)
        return keep_valid(uintBitsToFloat(uvec4(load_word(x, at.x), load_word(x, at.y), load_word(x, at.z), load_word(x, at.w))),
                          valid);
    // Four elements lie in two words, or, where i is odd, in three.
    uint w = i >> 1;
    uint w_last = last >> 1;
    vec2 first = from_word(load_word(x, w), dtype);
    vec2 second = from_word(load_word(x, min(w + 1u, w_last)), dtype);
    if ((i & 1u) == 0u)
        return keep_valid(vec4(first, second), valid);
    vec2 third = from_word(load_word(x, min(w + 2u, w_last)), dtype);
    return keep_valid(vec4(first.y, second, third.x), valid);
}

// States lie on multiples of 16 bytes: only i and valid decide.
vec4 load_state(F32x4 x, uint i, uint valid) {
    if (is_wide(0u, i, valid))
        return x.v[i >> 2];
    if (is_row())
        if (is_in_row(i)) {
            vec4 quad;
            LOAD_ROW(quad, x)
            return quad;
        }
    uvec4 at = min(i + uvec4(0u, 1u, 2u, 3u), uvec4(i + valid - 1u));
    return keep_valid(vec4(load_float(x, at.x), load_float(x, at.y), load_float(x, at.z), load_float(x, at.w)), valid);
}

void store_state(F32x4 x, uint i, uint valid, vec4 quad) {
    if (is_wide(0u, i, valid)) {
        x.v[i >> 2] = quad;
        return;
    }
    if (is_row())
        if (is_in_row(i)) {
            [[unroll]] for (uint k = 0u; k < 4u; ++k) {
                uint at = place_in_row(i, k);
                x.v[at >> 2][at & 3u] = quad[k];
            }
            return;
        }
    x.v[i >> 2][i & 3u] = quad.x;
    if (valid > 1u)
        x.v[(i + 1u) >> 2][(i + 1u) & 3u] = quad.y;
    if (valid > 2u)
        x.v[(i + 2u) >> 2][(i + 2u) & 3u] = quad.z;
    if (valid > 3u)
        x.v[(i + 3u) >> 2][(i + 3u) & 3u] = quad.w;
}

// A temporary of dtype `dtype`, i a multiple of 4, that lies on a multiple of 16 bytes and whose quads are all this
// kernel's: its memory is padded to 16 bytes, so whole words are written at the end.
void store_temporary(U32x4 x, uint i, uint valid, vec4 quad, uint dtype) {
    if (dtype == DTYPE_F32) {
        x.v[i >> 2] = floatBitsToUint(quad);
        return;
    }
    uint w = i >> 1;
    x.v[w >> 2][w & 3u] = to_word(quad.xy, dtype);
    if (valid > 2u)
        x.v[w >> 2][(w & 3u) + 1u] = to_word(quad.zw, dtype);
}

// `words` is the same address: a word of two 16-bit elements may be shared with another job of the same dispatch.
// Returns what it has stored: rounded to the tensor's own dtype, to nearest even. (Converted once, whichever way it is
// stored and for the caller: conversions to 16 bits are much of an optimizer's code.)
vec4 store_quad(U32x4 x, U32 words, uint i, uint valid, bool wide, vec4 quad, uint dtype) {
    if (dtype == DTYPE_F32) {
        if (wide) {
            x.v[i >> 2] = floatBitsToUint(quad);
            return quad;
        }
        if (is_row())
            if (is_in_row(i)) {
                [[unroll]] for (uint k = 0u; k < 4u; ++k)
                    words.v[place_in_row(i, k)] = floatBitsToUint(quad[k]);
                return quad;
            }
        words.v[i] = floatBitsToUint(quad.x);
        if (valid > 1u)
            words.v[i + 1u] = floatBitsToUint(quad.y);
        if (valid > 2u)
            words.v[i + 2u] = floatBitsToUint(quad.z);
        if (valid > 3u)
            words.v[i + 3u] = floatBitsToUint(quad.w);
        return quad;
    }
    uvec2 pairs = uvec2(to_word(quad.xy, dtype), to_word(quad.zw, dtype));
    if ((i & 1u) == 0u && valid == 4u) {
        words.v[i >> 1] = pairs.x;
        words.v[(i >> 1) + 1u] = pairs.y;
    } else {
        for (uint k = 0u; k < valid; ++k)
            store_bits(words, i + k, ((k < 2u ? pairs.x : pairs.y) >> ((k & 1u) << 4)) & 0xffffu, dtype);
    }
    return vec4(from_word(pairs.x, dtype), from_word(pairs.y, dtype));
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
