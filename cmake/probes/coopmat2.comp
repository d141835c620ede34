// SPDX-License-Identifier: MIT
// Compiles where the toolchain knows the second set of cooperative-matrix operations.
#version 460
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_NV_cooperative_matrix2 : require
layout(local_size_x = 32) in;
layout(binding = 0) buffer Data { float v[]; } data;
float twice(const in uint row, const in uint col, const in float x) { return 2.0 * x; }
void main() {
    coopmat<float, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator> c =
        coopmat<float, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator>(1.0);
    coopMatPerElementNV(c, c, twice);
    coopMatStore(c, data.v, 0, 8, gl_CooperativeMatrixLayoutRowMajor);
}
