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
HERON_SHARED_END
#else
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#define HERON_SHARED_BEGIN
#define HERON_SHARED_END
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer F32 { float v[]; };
#endif

HERON_SHARED_BEGIN
const uint SPEC_THREADS = 0;  // invocations per workgroup
const uint SPEC_TILE_M = 1;   // rows of C per workgroup
HERON_SHARED_END

#endif
