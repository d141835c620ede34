// SPDX-License-Identifier: MIT
// 16-bit operands of products, as pairs: eight elements along k of two neighbouring lines (rows of op(A), columns of
// op(B)) at a time, by the widest loads that their place allows. The includer has included core/kernel.glsl, and enabled
// GL_EXT_control_flow_attributes.
#ifndef HERON_LINALG_GEMM_HALVES_GLSL
#define HERON_LINALG_GEMM_HALVES_GLSL

// One operand: element k of line l is element base + l line_stride + k k_stride.
struct Source {
    uint base, lines, k_count, line_stride, k_stride;
    bool fours;      // along k, in aligned groups of eight elements
    bool k_pairs;    // along k, in words
    bool line_pairs; // along lines, in words
};

Source make_source(uint base, uint lines, uint k_count, uint line_stride, uint k_stride, bool fours) {
    bool k_pairs = k_stride == 1 && ((base | line_stride) & 1) == 0;
    bool line_pairs = line_stride == 1 && ((base | k_stride) & 1) == 0;
    return Source(base, lines, k_count, line_stride, k_stride, fours, k_pairs, line_pairs);
}

// The bits of an element; zero outside. An element that exists is read in any case.
uint element(U32 x, Source s, uint line, uint k) {
    bool inside = line < s.lines && k < s.k_count;
    uint at = inside ? s.base + line * s.line_stride + k * s.k_stride : s.base;
    uint bits = (x.v[at >> 1] >> ((at & 1) << 4)) & 0xffffu;
    return inside ? bits : 0;
}

// Elements k to k + 7 of two neighbouring lines; zeros outside.
void fetch(U32 x, U32x4 fours, Source s, uint line, uint k, out uvec4 first, out uvec4 second) {
    first = second = uvec4(0);
    if (line >= s.lines || k >= s.k_count)
        return;
    bool whole = line + 1 < s.lines && k + 7 < s.k_count;
    uint at = s.base + line * s.line_stride + k * s.k_stride;
    if (whole && s.fours) {
        first = fours.v[at / 8];
        second = fours.v[(at + s.line_stride) / 8];
    } else if (whole && s.k_pairs) {
        uint word = at / 2;
        uint below = (at + s.line_stride) / 2;
        first = uvec4(x.v[word], x.v[word + 1], x.v[word + 2], x.v[word + 3]);
        second = uvec4(x.v[below], x.v[below + 1], x.v[below + 2], x.v[below + 3]);
    } else if (whole && s.line_pairs) {
        [[unroll]] for (uint q = 0; q < 4; ++q) {
            uint low = x.v[(at + 2 * q * s.k_stride) / 2];
            uint high = x.v[(at + (2 * q + 1) * s.k_stride) / 2];
            first[q] = (low & 0xffffu) | (high << 16);
            second[q] = (low >> 16) | (high & 0xffff0000u);
        }
    } else {
        // Shifted in from the end: unrolled, this would be most of the code.
        [[dont_unroll]] for (uint q = 0; q < 8; q += 2) {
            first = uvec4(first.yzw, element(x, s, line, k + q) | (element(x, s, line, k + q + 1) << 16));
            second = uvec4(second.yzw, element(x, s, line + 1, k + q) | (element(x, s, line + 1, k + q + 1) << 16));
        }
    }
}

#endif
