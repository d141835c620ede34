// SPDX-License-Identifier: MIT
// What products on cooperative matrices share: how operands are read (gemm_halves.glsl) and results stored.
// The includer has included core/half.glsl, and enabled GL_EXT_buffer_reference_uvec2 and
// GL_EXT_control_flow_attributes.
#ifndef HERON_LINALG_GEMM_COOPMAT_GLSL
#define HERON_LINALG_GEMM_COOPMAT_GLSL

#include "linalg/gemm_halves.glsl"

layout(constant_id = SPEC_DTYPE_C) const uint DTYPE_C = DTYPE_F32;
layout(constant_id = SPEC_DTYPE_D) const uint DTYPE_D = DTYPE_F32;
layout(constant_id = SPEC_FLAGS) const uint FLAGS = 0;

// make_source() where the address itself tells whether lines along k begin at multiples of 16 bytes.
Source source_of(U32 x, uint base, uint lines, uint k_count, uint line_stride, uint k_stride) {
    bool fours = k_stride == 1 && ((base | line_stride) & 7) == 0 && (uvec2(x).x & 15) == 0;
    return make_source(base, lines, k_count, line_stride, k_stride, fours);
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
