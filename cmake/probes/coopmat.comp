// SPDX-License-Identifier: MIT
// Compiles where the toolchain knows cooperative matrices.
#version 460
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
layout(local_size_x = 32) in;
layout(binding = 0) buffer Data { float v[]; } data;
void main() {
    coopmat<float, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator> c =
        coopmat<float, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator>(1.0);
    coopMatStore(c, data.v, 0, 8, gl_CooperativeMatrixLayoutRowMajor);
}
