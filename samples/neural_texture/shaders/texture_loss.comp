// SPDX-License-Identifier: MIT
// Squared error of the colours, and its gradient.
//
//   loss = sum over colours of d^2 / COLOURS,   d = colour + 1/2 - pixel / 255
//   gradient of the mean over samples = 2 d / (COLOURS samples)
//
// One invocation a sample.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "texture.h"
#define JOB TextureLossJob
#include "core/kernel.glsl"
#include "texture_sample.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    TextureSampling sampling = p.jobs.job[j].sampling;
    if (i >= sampling.samples)
        return;

    U32 cursor = p.jobs.job[j].cursor;
    U32 pixels = p.jobs.job[j].pixels;
    F32 colours = p.jobs.job[j].colours;
    F32 gradient = p.jobs.job[j].gradient;
    F32 row_result = p.jobs.job[j].row_result;
    uvec2 pixel = sample_pixel(sampling, cursor.v[0], i);
    uint wanted = pixels.v[pixel.y * sampling.width + pixel.x];

    float scale = 1.0 / float(COLOURS * sampling.samples);
    float loss = 0.0;
    for (uint c = 0; c < COLOURS; ++c) {
        float difference = colours.v[i * COLOURS + c] + 0.5 - float((wanted >> (8 * c)) & 0xff) / 255.0;
        loss += difference * difference;
        gradient.v[i * COLOURS + c] = 2.0 * scale * difference;
    }
    row_result.v[2 * i] = loss / float(COLOURS);
    row_result.v[2 * i + 1] = 0.0;
}
