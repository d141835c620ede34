// SPDX-License-Identifier: MIT
// What shaders/linalg/matrix_units.glsl defines, without cooperative matrices: any M x N x K of at most 64 sums an
// invocation, K in eights, f16 and bf16, tensor layouts, on any device.
//
// As in the extensions, invocation l of those that share a matrix has some of its elements, and no other sees them:
// here sums l, l + lanes, ..., row by row. Operands are read when they are multiplied, which both kernels do before
// anything else may be written to where they come from.
#include "core/half.glsl"

const uint SUMS = (MATRIX_M * MATRIX_N + MATRIX_LANES - 1) / MATRIX_LANES;
struct Sums { float v[64]; };

// As of two dimensions, clamped to zero.
struct Layout {
    uvec2 extents;
    uint stride;
    uvec2 first;
};

struct Operand {
    bool in_pool;
    uint at, pitch; // in the pool, of op(A) or op(B)^T
    uvec2 memory;   // else
    uint element;
    Layout part;
    bool turned;
};
#define MatrixA Operand
#define MatrixB Operand

#if defined(AB_BF16)
const uint OPERANDS_DTYPE = DTYPE_BF16;
#else
const uint OPERANDS_DTYPE = DTYPE_F16;
#endif

uint half_of(uint word, uint i) { return (word >> (16 * (i & 1))) & 0xffffu; }

// Elements k to k + 7 of a line: of a row of op(A), or of a column of op(B), whose k is the row. As pairs.
uvec4 eight_of(Operand x, uint line, uint k, bool is_b) {
    if (x.in_pool)
        return pool[x.at + line * x.pitch + k / 8];
    uvec4 pairs = uvec4(0);
    [[unroll]] for (uint q = 0; q < 8; ++q) {
        uvec2 at = is_b ? uvec2(k + q, line) : uvec2(line, k + q);
        at = x.part.first + (x.turned ? at.yx : at);
        if (all(lessThan(at, x.part.extents))) {
            uint i = x.element + at.x * x.part.stride + at.y;
            pairs[q / 2] |= half_of(U32(x.memory).v[i / 2], i) << (16 * (q % 2));
        }
    }
    return pairs;
}

// The first and the second of each pair.
void split(uvec4 pairs, out vec4 low, out vec4 high) {
    [[unroll]] for (uint q = 0; q < 4; ++q) {
        vec2 both = from_word(pairs[q], OPERANDS_DTYPE);
        low[q] = both.x;
        high[q] = both.y;
    }
}

Sums zero_sums() {
    Sums sums;
    [[dont_unroll]] for (uint i = 0; i < 64; ++i)
        sums.v[i] = 0.0;
    return sums;
}

Sums multiply_add(Operand a, Operand b, Sums sums) {
    [[dont_unroll]] for (uint i = 0; i < SUMS; ++i) {
        uint e = MATRIX_LANE + i * MATRIX_LANES;
        uint row = e / MATRIX_N;
        uint col = e % MATRIX_N;
        if (row >= MATRIX_M)
            continue;
        for (uint k = 0; k < MATRIX_K; k += 8) { // lavapipe ends a shader's loops after 65,535 rounds in all
            uvec4 from_a = eight_of(a, row, k, false);
            uvec4 from_b = eight_of(b, col, k, true);
            vec4 a_low, a_high, b_low, b_high;
            split(from_a, a_low, a_high);
            split(from_b, b_low, b_high);
            sums.v[i] += dot(a_low, b_low) + dot(a_high, b_high);
        }
    }
    return sums;
}

void load_pool(out Operand x, uint at, uint pitch) {
    x = Operand(true, at, pitch, uvec2(0), 0, Layout(uvec2(0), 0, uvec2(0)), false);
}
#define load_a(matrix, at, pitch) load_pool(matrix, at, pitch)
#define load_b(matrix, at, pitch) load_pool(matrix, at, pitch)

void store_sums(Sums sums, uint at, uint pitch) {
    [[dont_unroll]] for (uint i = 0; i < SUMS; ++i) {
        uint e = MATRIX_LANE + i * MATRIX_LANES;
        uint row = e / MATRIX_N;
        uint col = e % MATRIX_N;
        if (row < MATRIX_M)
            pool[at + row * pitch + col / 4][col % 4] = floatBitsToUint(sums.v[i]);
    }
}

#if defined(MATRIX_TENSORS)
#define Halves uvec2 // addresses

Layout make_layout(uvec2 extents, uint stride) { return Layout(extents, stride, uvec2(0)); }

Layout slice(Layout from, uint row, uint rows, uint col, uint cols) {
    return Layout(from.extents, from.stride, from.first + uvec2(row, col));
}

void load_tensor(out Operand x, uvec2 halves, uint element, Layout part) {
    x = Operand(false, 0, 0, halves, element, part, false);
}
void load_turned(out Operand x, uvec2 halves, uint element, Layout part) {
    x = Operand(false, 0, 0, halves, element, part, true);
}
#endif
