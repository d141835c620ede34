// SPDX-License-Identifier: MIT
// A kernel for the tests of core: v[i] = seed + FACTOR * i, for i below count. One invocation per element.
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint FACTOR = 1;

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer U32 { uint v[]; };
layout(push_constant, scalar) uniform Push { U32 target; uint count; uint seed; } p;

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < p.count)
        p.target.v[i] = p.seed + FACTOR * i;
}
