// SPDX-License-Identifier: MIT
// Second half of the engine's backward pass: each gradient is a sum over the samples. One invocation a weight, and one more
// for the loss.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "engine.h"

layout(local_size_x = THREADS) in;
layout(push_constant, scalar) uniform Push { EnginePush p; };

// Sum over the samples of a row of the scratch memory.
float row_sum(uint row) {
    F32 scratch = p.scratch;
    float sum = 0.0;
    for (uint s = 0; s < SAMPLES; ++s)
        sum += scratch.v[row + s];
    return sum;
}

float row_product(uint a, uint b) {
    F32 scratch = p.scratch;
    float sum = 0.0;
    for (uint s = 0; s < SAMPLES; ++s)
        sum += scratch.v[a + s] * scratch.v[b + s];
    return sum;
}

void main() {
    uint i = gl_GlobalInvocationID.x;
    F32 gradients = p.gradients;
    F32 loss = p.loss;
    if (i < HIDDEN_BIAS) {
        uint row = i / FEATURES;
        uint col = i % FEATURES;
        gradients.v[i] = row_product(HIDDEN_GRADIENT_ROWS + row * SAMPLES, FEATURE_ROWS + col * SAMPLES);
    } else if (i < HEAD_WEIGHT) {
        gradients.v[i] = row_sum(HIDDEN_GRADIENT_ROWS + (i - HIDDEN_BIAS) * SAMPLES);
    } else if (i < HEAD_BIAS) {
        uint row = (i - HEAD_WEIGHT) / HIDDEN;
        uint col = (i - HEAD_WEIGHT) % HIDDEN;
        gradients.v[i] = row_product(COLOUR_GRADIENT_ROWS + row * SAMPLES, HIDDEN_ROWS + col * SAMPLES);
    } else if (i < WEIGHT_COUNT) {
        gradients.v[i] = row_sum(COLOUR_GRADIENT_ROWS + (i - HEAD_BIAS) * SAMPLES);
    } else if (i == WEIGHT_COUNT) {
        loss.v[0] = row_sum(LOSS_ROW);
    }
}
