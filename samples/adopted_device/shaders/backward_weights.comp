// SPDX-License-Identifier: MIT
// Second half of the engine's backward pass: each gradient is a sum over the samples. One invocation a weight, and one more
// for the loss.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "engine.h"

layout(local_size_x = THREADS) in;
layout(push_constant, scalar) uniform Push { EnginePush p; };

// Sum over the samples of one column of a matrix in the scratch memory that has `width` of them.
float column_sum(uint matrix, uint width, uint column) {
    F32 scratch = p.scratch;
    float sum = 0.0;
    for (uint s = 0; s < SAMPLES; ++s)
        sum += scratch.v[matrix + s * width + column];
    return sum;
}

// Of the product of two columns of two matrices.
float column_product(uint a, uint a_width, uint a_column, uint b, uint b_width, uint b_column) {
    F32 scratch = p.scratch;
    float sum = 0.0;
    for (uint s = 0; s < SAMPLES; ++s)
        sum += scratch.v[a + s * a_width + a_column] * scratch.v[b + s * b_width + b_column];
    return sum;
}

void main() {
    uint i = gl_GlobalInvocationID.x;
    F32 gradients = p.gradients;
    F32 loss = p.loss;
    if (i < HIDDEN_BIAS) {
        uint row = i / FEATURES;
        uint col = i % FEATURES;
        gradients.v[i] = column_product(HIDDEN_GRADIENT_ROWS, HIDDEN, row, FEATURE_ROWS, FEATURES, col);
    } else if (i < HEAD_WEIGHT) {
        gradients.v[i] = column_sum(HIDDEN_GRADIENT_ROWS, HIDDEN, i - HIDDEN_BIAS);
    } else if (i < HEAD_BIAS) {
        uint row = (i - HEAD_WEIGHT) / HIDDEN;
        uint col = (i - HEAD_WEIGHT) % HIDDEN;
        gradients.v[i] = column_product(COLOUR_GRADIENT_ROWS, COLOURS, row, HIDDEN_ROWS, HIDDEN, col);
    } else if (i < WEIGHT_COUNT) {
        gradients.v[i] = column_sum(COLOUR_GRADIENT_ROWS, COLOURS, i - HEAD_BIAS);
    } else if (i == WEIGHT_COUNT) {
        loss.v[0] = column_sum(LOSS_ROW, 1, 0);
    }
}
