// SPDX-License-Identifier: MIT
// Cooperative matrices, as the kernels on matrix units use them.
//
// The includer defines MATRIX_M, MATRIX_N and MATRIX_K (op(A) is M x K, op(B) K x N), MATRIX_TYPE of both,
// MATRIX_SCOPE, MATRIX_LANES and MATRIX_LANE (the invocations that share a matrix, and which of them this one is),
// MATRIX_TENSORS where operands come from memory through tensor layouts, and has declared `pool`, an array of uvec4 in
// shared memory. Places and pitches in it count uvec4.
//
// MATRICES_EMULATED takes emulated_matrices.glsl in place of the extensions: a test's, which has every other line of the
// kernels run on devices that have no such matrices, with any M x N x K.
#ifndef HERON_LINALG_MATRIX_UNITS_GLSL
#define HERON_LINALG_MATRIX_UNITS_GLSL

#if defined(MATRICES_EMULATED)
#include "emulated_matrices.glsl"
#else

#define MatrixA coopmat<MATRIX_TYPE, MATRIX_SCOPE, MATRIX_M, MATRIX_K, gl_MatrixUseA>
#define MatrixB coopmat<MATRIX_TYPE, MATRIX_SCOPE, MATRIX_K, MATRIX_N, gl_MatrixUseB>
#define Sums coopmat<float, MATRIX_SCOPE, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>

#define zero_sums() Sums(0.0)
#define multiply_add(a, b, sums) coopMatMulAdd(a, b, sums)

// Both operands lie in the pool with k innermost, sums by rows.
#define load_a(matrix, at, pitch) coopMatLoad(matrix, pool, at, pitch, gl_CooperativeMatrixLayoutRowMajor)
#define load_b(matrix, at, pitch) coopMatLoad(matrix, pool, at, pitch, gl_CooperativeMatrixLayoutColumnMajor)
#define store_sums(sums, at, pitch) coopMatStore(sums, pool, at, pitch, gl_CooperativeMatrixLayoutRowMajor)

#if defined(MATRIX_TENSORS)
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Halves { MATRIX_TYPE v[]; };

// Rows of extents.y elements without gaps, `stride` elements apart; zeros beyond.
#define Layout tensorLayoutNV<2, gl_CooperativeMatrixClampModeConstantNV>
Layout make_layout(uvec2 extents, uint stride) {
    Layout made = createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    made = setTensorLayoutDimensionNV(made, extents.x, extents.y);
    return setTensorLayoutStrideNV(made, stride, 1);
}
#define slice(from, row, rows, col, cols) sliceTensorLayoutNV(from, row, rows, col, cols)

// From element `first` of `halves` on; turned: transposed on the way.
#define load_tensor(matrix, halves, first, part) coopMatLoadTensorNV(matrix, halves.v, first, part)
#define load_turned(matrix, halves, first, part) \
    coopMatLoadTensorNV(matrix, halves.v, first, part, createTensorViewNV(2, false, 1, 0))
#endif

#endif
#endif
