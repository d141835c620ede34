// SPDX-License-Identifier: MIT
// What products on cooperative matrices share: where the 16-bit elements of an operand lie, and how results are stored.
// The includer has included core/half.glsl, and enabled GL_EXT_buffer_reference_uvec2 and
// GL_EXT_control_flow_attributes.
#ifndef HERON_LINALG_GEMM_COOPMAT_GLSL
#define HERON_LINALG_GEMM_COOPMAT_GLSL

layout(constant_id = SPEC_DTYPE_C) const uint DTYPE_C = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32;
layout(constant_id = SPEC_FLAGS) const uint FLAGS = 0;

// One operand: element (row, k) of op(A), or of op(B)^T, is element base + row * row_stride + k * k_stride of x.
struct Layout {
    uint base, rows, k_count, row_stride, k_stride;
    bool vectors; // along k, in aligned groups of eight
    bool words;   // along rows, in aligned pairs
};

Layout make_layout(U32 x, uint base, uint rows, uint k_count, uint row_stride, uint k_stride) {
    bool vectors = k_stride == 1 && ((base | row_stride) & 7) == 0 && (uvec2(x).x & 15) == 0;
    bool words = row_stride == 1 && ((base | k_stride) & 1) == 0;
    return Layout(base, rows, k_count, row_stride, k_stride, vectors, words);
}

// The bits of element (row, k); zero outside. An element that exists is read in any case.
uint element(U32 x, Layout l, uint row, uint k) {
    bool inside = row < l.rows && k < l.k_count;
    uint at = inside ? l.base + row * l.row_stride + k * l.k_stride : l.base;
    uint bits = (x.v[at >> 1] >> ((at & 1) << 4)) & 0xffffu;
    return inside ? bits : 0;
}

// Elements k to k + 7 of two neighbouring rows; zeros outside.
void fetch(U32 x, Layout l, uint row, uint k, out uvec4 first, out uvec4 second) {
    first = second = uvec4(0);
    if (row >= l.rows || k >= l.k_count)
        return;
    bool whole = row + 1 < l.rows && k + 7 < l.k_count;
    if (whole && l.vectors) {
        U32x4 v = U32x4(x);
        uint at = (l.base + row * l.row_stride + k) / 8;
        first = v.v[at];
        second = v.v[at + l.row_stride / 8];
    } else if (whole && l.words) {
        uint at = l.base + row + k * l.k_stride;
        [[unroll]] for (uint q = 0; q < 4; ++q) {
            uint low = x.v[(at + 2 * q * l.k_stride) >> 1];
            uint high = x.v[(at + (2 * q + 1) * l.k_stride) >> 1];
            first[q] = (low & 0xffffu) | (high << 16);
            second[q] = (low >> 16) | (high & 0xffff0000u);
        }
    } else {
        // Shifted in from the end: unrolled, this would be most of the code.
        [[dont_unroll]] for (uint q = 0; q < 8; q += 2) {
            first = uvec4(first.yzw, element(x, l, row, k + q) | (element(x, l, row, k + q + 1) << 16));
            second = uvec4(second.yzw, element(x, l, row + 1, k + q) | (element(x, l, row + 1, k + q + 1) << 16));
        }
    }
}

// Four neighbouring elements of a row of D, of which any may be left out. In loops for the sake of code size: a
// conversion to 16 bits is forty instructions, and a single element of D two atomic operations there, which are rare.
void store_four(U32 d, uint at, vec4 value, bvec4 keep, bool pairs) {
    uvec4 bits = floatBitsToUint(value);
    if (DTYPE_D != DTYPE_F32)
        [[dont_unroll]] for (uint q = 0; q < 4; ++q)
            bits = uvec4(bits.yzw, to_bits(uintBitsToFloat(bits.x), DTYPE_D));
    if (pairs && all(keep)) {
        store_bits_pair(d, at, bits.x, bits.y, DTYPE_D);
        store_bits_pair(d, at + 2, bits.z, bits.w, DTYPE_D);
    } else {
        [[dont_unroll]] for (uint q = 0; q < 4; ++q)
            if (keep[q])
                store_bits(d, at + q, bits[q], DTYPE_D);
    }
}

#endif
