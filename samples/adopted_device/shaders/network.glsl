// SPDX-License-Identifier: MIT
// The engine's network and what it has to learn. The includer has included engine.h.

const float TAU = 6.2831853;

// Four frequencies along each of eight directions, sine and cosine of each.
float feature(uint index, vec2 uv) {
    uint octave = (index >> 1) & 3;
    float angle = float(index >> 3) * (TAU / 16.0);
    float phase = TAU * 0.5 * float(1u << octave) * dot(uv - 0.5, vec2(cos(angle), sin(angle)));
    return (index & 1) == 0 ? sin(phase) : cos(phase);
}

// Rings, a disc and a grid: smooth parts and edges.
vec3 target(vec2 uv) {
    float radius = length(uv - vec2(0.5));
    vec3 colour = 0.5 + 0.35 * cos(vec3(0.0, 2.1, 4.2) + 14.0 * radius);
    if (length(uv - vec2(0.68, 0.34)) < 0.17)
        colour = vec3(0.95, 0.75, 0.2);
    if (uv.y > 0.72 && ((int(uv.x * 8.0) + int(uv.y * 8.0)) & 1) == 0)
        colour *= 0.45;
    return colour;
}

// What the network has learned of that place.
vec3 evaluate(F32 w, vec2 uv) {
    float x[FEATURES];
    for (uint i = 0; i < FEATURES; ++i)
        x[i] = feature(i, uv);
    vec3 colour;
    for (uint c = 0; c < COLOURS; ++c)
        colour[c] = w.v[HEAD_BIAS + c];
    for (uint h = 0; h < HIDDEN; ++h) {
        float z = w.v[HIDDEN_BIAS + h];
        for (uint i = 0; i < FEATURES; ++i)
            z += w.v[HIDDEN_WEIGHT + h * FEATURES + i] * x[i];
        for (uint c = 0; c < COLOURS; ++c)
            colour[c] += w.v[HEAD_WEIGHT + c * HIDDEN + h] * max(z, 0.0);
    }
    return colour;
}
