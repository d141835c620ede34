// SPDX-License-Identifier: MIT
// Compiles where the toolchain knows the type bfloat16_t.
#version 460
#extension GL_EXT_bfloat16 : require
#extension GL_EXT_shader_16bit_storage : require
layout(local_size_x = 32) in;
layout(binding = 0) buffer Data { bfloat16_t v[]; } data;
layout(binding = 1) buffer Result { float v[]; } result;
void main() { result.v[gl_GlobalInvocationID.x] = float(data.v[gl_GlobalInvocationID.x]); }
