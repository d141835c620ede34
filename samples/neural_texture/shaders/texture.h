// SPDX-License-Identifier: MIT
// The jobs of the neural texture's kernels, read by GLSL and C++. Matrices are contiguous and row-major.
#ifndef NEURAL_TEXTURE_TEXTURE_H
#define NEURAL_TEXTURE_TEXTURE_H

#include "core/shared.h"

HERON_SHARED_BEGIN

const uint FEATURES = 4;      // of a level of the grid, at each vertex
const uint COLOURS = 3;
const uint GRID_THREADS = 64; // of texture_grid.comp

// Which pixels the samples of a batch are (texture_sample.glsl). The image is cut into strata_cols x strata_rows
// pieces, and sample i is some pixel of the i-th; that depends on (seed, batch, i) alone.
struct TextureSampling {
    uint width;         // of the image, in pixels
    uint height;
    uint strata_cols;   // at most width
    uint strata_rows;   // at most height
    uint col_step;      // of a stratum, in pixels / 2^16, rounded up: there are no divisions where the samples are
    uint row_step;
    uint seed;
    uint in_order;      // 1: sample i is pixel batch * samples + i instead
    uint samples;       // of a batch
};

// A level of the grid: cols x rows cells over the whole image, FEATURES floats at each of their corners.
struct TextureLevel {
    float cells_a_col;   // cols / width
    float cells_a_row;   // rows / height
    uint  cols;
    uint  rows;
    uint  first;         // float of the first feature in the buffer of all levels
    uint  column;        // of the inputs, where its features go
};

#ifdef __cplusplus
using Levels = std::uint64_t; // device address of the levels
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer Levels { TextureLevel v[]; };
#endif

struct TextureEncodeJob {
    U32    cursor;       // [0]: batches taken so far
    F32    grid;
    Levels levels;
    F32    inputs;       // out, samples x stride
    TextureSampling sampling;
    uint   stride;
    uint   level_groups; // workgroups of a level
    uint   first_group;
};

struct TextureGridJob {
    U32   cursor;
    F32   input_gradient; // samples x stride
    F32   grid_gradient;  // out, of this level
    TextureSampling sampling;
    TextureLevel level;
    uint  stride;
    uint  lanes_across;   // x lanes_down invocations share a vertex: powers of two, together at most GRID_THREADS
    uint  lanes_down;
    uint  first_group;
};

struct TextureLossJob {
    U32   cursor;
    U32   pixels;        // of the image, 8 bits a colour, red lowest
    F32   colours;       // samples x COLOURS: what the network says, minus 1/2
    F32   gradient;      // out, d(mean loss) / d(colours)
    F32   row_result;    // out, samples x 2: the loss, and 0
    TextureSampling sampling;
    uint  first_group;
};

struct TexturePixelsJob {
    U32   cursor;
    F32   colours;       // samples x COLOURS
    U32   pixels;        // out, as in TextureLossJob
    uint  samples;       // of a batch
    uint  count;         // pixels of the picture
    uint  blue_first;    // 1: blue lowest, as most windows have it
    uint  first_group;
};

HERON_SHARED_END

#endif
