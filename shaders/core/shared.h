// SPDX-License-Identifier: MIT
// One definition for GLSL and C++: reference types, and the ids of specialization constants.
#ifndef HERON_CORE_SHARED_H
#define HERON_CORE_SHARED_H

#ifdef __cplusplus
#include <cstdint>
#define HERON_SHARED_BEGIN namespace heron::gpu {
#define HERON_SHARED_END }
HERON_SHARED_BEGIN
using uint = std::uint32_t;
using F32 = std::uint64_t;  // device address of floats
using U32 = std::uint64_t;  // device address of 32-bit words: indices, or elements of any dtype (core/half.glsl)
using F32x4 = std::uint64_t;  // the same four at a time, where the address is a multiple of 16
using U32x4 = std::uint64_t;
HERON_SHARED_END
#else
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#define HERON_SHARED_BEGIN
#define HERON_SHARED_END
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer F32 { float v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer U32 { uint v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer F32x4 { vec4 v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer U32x4 { uvec4 v[]; };
#endif

HERON_SHARED_BEGIN
// Ids of specialization constants, one meaning each in the whole project; kSpecNames below has their names.
const uint SPEC_THREADS = 0;    // invocations per workgroup
const uint SPEC_DTYPE_A = 3;    // element type of the first operand, one of DTYPE_
const uint SPEC_DTYPE_B = 4;    // of the second
const uint SPEC_DTYPE_C = 5;    // of the third
const uint SPEC_DTYPE_D = 6;    // of the result
const uint SPEC_OPERATION = 7;  // which of a kernel's operations (a constant of the kernel's own header)
const uint SPEC_PER_THREAD = 8; // elements per invocation
const uint SPEC_POOL = 9;       // vec4 of shared memory
const uint SPEC_TILES = 10;     // tiles of a result per invocation
const uint SPEC_SUBGROUP = 11;  // invocations per subgroup: a kernel that has it gets full subgroups of that size
const uint SPEC_MATRIX_M = 12;  // rows of a cooperative matrix of sums
const uint SPEC_MATRIX_N = 13;  // its columns
const uint SPEC_MATRIX_K = 14;  // columns of op(A) that go into one multiplication

// heron::DType.
const uint DTYPE_F32 = 0;
const uint DTYPE_F16 = 1;
const uint DTYPE_BF16 = 2;
HERON_SHARED_END

#ifdef __cplusplus
HERON_SHARED_BEGIN
inline constexpr const char* kSpecNames[] = {"threads", "tile_m",    "tile_n",     "a",    "b",    "c",
                                             "d",       "operation", "per_thread", "pool", "tiles",
                                             "subgroup", "matrix_m", "matrix_n", "matrix_k"};
HERON_SHARED_END
#endif

#endif
