// SPDX-License-Identifier: MIT
// The vertices of the terrain out of the network's weights: bright places are high. One invocation a vertex.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../../adopted_device/shaders/engine.h"
#include "scene.h"

layout(local_size_x = THREADS) in;
layout(push_constant, scalar) uniform Push { ScenePush p; };

#include "../../adopted_device/shaders/network.glsl"

void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i >= GRID_VERTICES)
        return;
    vec2 uv = vec2(float(i % (GRID + 1)), float(i / (GRID + 1))) / float(GRID);
    vec3 colour = clamp(evaluate(p.weights, uv), vec3(0.0), vec3(1.0));
    F32 vertices = p.vertices;
    uint at = i * VERTEX_FLOATS;
    vertices.v[at] = 2.0 * uv.x - 1.0;
    vertices.v[at + 1] = 0.25 * dot(colour, vec3(0.3, 0.6, 0.1));
    vertices.v[at + 2] = 2.0 * uv.y - 1.0;
    vertices.v[at + 3] = colour.r;
    vertices.v[at + 4] = colour.g;
    vertices.v[at + 5] = colour.b;
}
