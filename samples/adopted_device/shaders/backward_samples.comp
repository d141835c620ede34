// SPDX-License-Identifier: MIT
// First half of the engine's backward pass: forward and backward through the network for one sample an invocation.
//
//   loss = mean over samples and colours of (y - target)^2
#version 460
#extension GL_GOOGLE_include_directive : require
#include "engine.h"

layout(local_size_x = THREADS) in;
layout(push_constant, scalar) uniform Push { EnginePush p; };

#include "network.glsl"

uint mix_bits(uint x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

void main() {
    uint s = gl_GlobalInvocationID.x;
    if (s >= SAMPLES)
        return;
    F32 w = p.weights;
    F32 scratch = p.scratch;
    uint random = mix_bits(p.step * SAMPLES + s + 1u);
    vec2 uv = vec2(float(random & 0xffffu), float(random >> 16)) / 65536.0;

    float x[FEATURES];
    for (uint i = 0; i < FEATURES; ++i) {
        x[i] = feature(i, uv);
        scratch.v[FEATURE_ROWS + s * FEATURES + i] = x[i];
    }
    float y[COLOURS];
    for (uint c = 0; c < COLOURS; ++c)
        y[c] = w.v[HEAD_BIAS + c];
    for (uint h = 0; h < HIDDEN; ++h) {
        float z = w.v[HIDDEN_BIAS + h];
        for (uint i = 0; i < FEATURES; ++i)
            z += w.v[HIDDEN_WEIGHT + h * FEATURES + i] * x[i];
        z = max(z, 0.0);
        scratch.v[HIDDEN_ROWS + s * HIDDEN + h] = z;
        for (uint c = 0; c < COLOURS; ++c)
            y[c] += w.v[HEAD_WEIGHT + c * HIDDEN + h] * z;
    }

    vec3 wanted = target(uv);
    float loss = 0.0;
    float dy[COLOURS];
    for (uint c = 0; c < COLOURS; ++c) {
        float difference = y[c] - wanted[c];
        loss += difference * difference / float(COLOURS);
        dy[c] = 2.0 * difference / float(COLOURS * SAMPLES);
        scratch.v[COLOUR_GRADIENT_ROWS + s * COLOURS + c] = dy[c];
    }
    scratch.v[LOSS_ROW + s] = loss / float(SAMPLES);
    for (uint h = 0; h < HIDDEN; ++h) {
        float dz = 0.0;
        for (uint c = 0; c < COLOURS; ++c)
            dz += w.v[HEAD_WEIGHT + c * HIDDEN + h] * dy[c];
        if (scratch.v[HIDDEN_ROWS + s * HIDDEN + h] <= 0.0)
            dz = 0.0;
        scratch.v[HIDDEN_GRADIENT_ROWS + s * HIDDEN + h] = dz;
    }
}
