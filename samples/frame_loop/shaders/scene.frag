// SPDX-License-Identifier: MIT
// Flat triangles under one lamp.
#version 460

layout(location = 0) in vec3 colour;
layout(location = 1) in vec3 place;

layout(location = 0) out vec4 pixel;

void main() {
    vec3 normal = normalize(cross(dFdx(place), dFdy(place)));
    float light = abs(dot(normal, normalize(vec3(0.4, 0.8, 0.3))));
    pixel = vec4(colour * (0.35 + 0.65 * light), 1.0);
}
