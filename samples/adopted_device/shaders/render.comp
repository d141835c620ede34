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
    vec3 colour = target(uv);
    if (column < p.image_size) {
        F32 w = p.weights;
        float x[FEATURES];
        for (uint f = 0; f < FEATURES; ++f)
            x[f] = feature(f, uv);
        for (uint c = 0; c < COLOURS; ++c)
            colour[c] = w.v[HEAD_BIAS + c];
        for (uint h = 0; h < HIDDEN; ++h) {
            float z = w.v[HIDDEN_BIAS + h];
            for (uint f = 0; f < FEATURES; ++f)
                z += w.v[HIDDEN_WEIGHT + h * FEATURES + f] * x[f];
            for (uint c = 0; c < COLOURS; ++c)
                colour[c] += w.v[HEAD_WEIGHT + c * HIDDEN + h] * max(z, 0.0);
        }
    }
    uvec3 bytes = uvec3(clamp(colour, vec3(0.0), vec3(1.0)) * 255.0 + 0.5);
    Pixels image = p.image;
    image.v[i] = bytes.r | (bytes.g << 8) | (bytes.b << 16) | 0xff000000u;
}
