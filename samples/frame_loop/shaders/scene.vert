// SPDX-License-Identifier: MIT
// One corner of one triangle of the terrain, seen by a camera that looks down at it.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "scene.h"

layout(push_constant, scalar) uniform Push { ScenePush p; };

layout(location = 0) out vec3 colour;
layout(location = 1) out vec3 place; // for the triangle's normal

const float PITCH = 0.6;    // of the camera, in radians
const float DISTANCE = 2.6; // of the camera from the middle of the terrain
const float ZOOM = 2.3;
const float NEAR = 0.5;
const float FAR = 6.0;

void main() {
    uint quad = uint(gl_VertexIndex) / 6;
    uint corner = uint(gl_VertexIndex) % 6;
    uint right = corner == 1 || corner == 2 || corner == 4 ? 1 : 0;
    uint down = corner == 2 || corner >= 4 ? 1 : 0;
    if (corner == 3)
        right = down = 0;
    uint at = ((quad / GRID + down) * (GRID + 1) + quad % GRID + right) * VERTEX_FLOATS;

    F32 vertices = p.vertices;
    place = vec3(vertices.v[at], vertices.v[at + 1], vertices.v[at + 2]);
    colour = vec3(vertices.v[at + 3], vertices.v[at + 4], vertices.v[at + 5]);

    float s = sin(p.turn);
    float c = cos(p.turn);
    vec3 turned = vec3(c * place.x + s * place.z, place.y, c * place.z - s * place.x);
    // Seen from above and in front: forward is z, up is -y as in Vulkan's pictures.
    float up = cos(PITCH) * turned.y - sin(PITCH) * turned.z;
    float forward = DISTANCE - sin(PITCH) * turned.y - cos(PITCH) * turned.z;
    gl_Position = vec4(ZOOM * turned.x / p.aspect, -ZOOM * up, FAR / (FAR - NEAR) * (forward - NEAR), forward);
}
