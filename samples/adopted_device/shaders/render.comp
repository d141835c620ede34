// SPDX-License-Identifier: MIT
// The engine's use of the weights: draws what the network has learned, and beside it what it should learn. One invocation a
// pixel.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "engine.h"

layout(local_size_x = THREADS) in;
layout(push_constant, scalar) uniform Push { EnginePush p; };

#include "network.glsl"

void main() {
    uint width = 2 * p.image_size;
    uint i = gl_GlobalInvocationID.x;
    if (i >= width * p.image_size)
        return;
    uint column = i % width;
    vec2 uv = (vec2(float(column % p.image_size), float(i / width)) + 0.5) / float(p.image_size);
    vec3 colour = column < p.image_size ? evaluate(p.weights, uv) : target(uv);
    uvec3 bytes = uvec3(clamp(colour, vec3(0.0), vec3(1.0)) * 255.0 + 0.5);
    Pixels image = p.image;
    image.v[i] = bytes.r | (bytes.g << 8) | (bytes.b << 16) | 0xff000000u;
}
