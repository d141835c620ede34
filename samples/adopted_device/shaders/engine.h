// SPDX-License-Identifier: MIT
// What the engine's shaders are given, read by GLSL and C++. The engine keeps its own push constants and its own layout of
// the weights: Heron only sees addresses and shapes.
//
// The network: 64 Fourier features of (u, v) -> 64 hidden units with ReLU -> 3 colours.
#ifndef ADOPTED_DEVICE_ENGINE_H
#define ADOPTED_DEVICE_ENGINE_H

#include "core/shared.h"

#ifdef __cplusplus
HERON_SHARED_BEGIN
using Pixels = std::uint64_t;  // device address of RGBA pixels, 8 bits a colour
HERON_SHARED_END
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Pixels { uint v[]; };
#endif

HERON_SHARED_BEGIN

const uint FEATURES = 64;
const uint HIDDEN = 64;
const uint COLOURS = 3;
const uint SAMPLES = 512; // a step
const uint THREADS = 64;

// Offsets in floats, the same for weights and gradients.
const uint HIDDEN_WEIGHT = 0;                             // HIDDEN x FEATURES
const uint HIDDEN_BIAS = HIDDEN_WEIGHT + HIDDEN * FEATURES; // HIDDEN
const uint HEAD_WEIGHT = HIDDEN_BIAS + HIDDEN;            // COLOURS x HIDDEN
const uint HEAD_BIAS = HEAD_WEIGHT + COLOURS * HIDDEN;    // COLOURS
const uint WEIGHT_COUNT = HEAD_BIAS + COLOURS;

// Offsets in the scratch memory of the backward pass, in floats; each is a matrix with one row a sample, as optimizers of
// layers want what they are given of the passes.
const uint FEATURE_ROWS = 0;
const uint HIDDEN_ROWS = FEATURES * SAMPLES;
const uint HIDDEN_GRADIENT_ROWS = HIDDEN_ROWS + HIDDEN * SAMPLES;
const uint COLOUR_GRADIENT_ROWS = HIDDEN_GRADIENT_ROWS + HIDDEN * SAMPLES;
const uint LOSS_ROW = COLOUR_GRADIENT_ROWS + COLOURS * SAMPLES;
const uint SCRATCH_COUNT = LOSS_ROW + SAMPLES;

struct EnginePush {
    F32    weights;
    F32    gradients;
    F32    scratch;
    F32    loss;       // [0]: mean squared error of the latest step
    Pixels image;      // what the network has learned, and beside it what it should learn
    uint   step;       // seeds the positions of the samples
    uint   image_size; // pixels of one side of each half
};

HERON_SHARED_END

#endif
