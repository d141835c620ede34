// SPDX-License-Identifier: MIT
// Colours as pixels of 8 bits a colour: what the network draws. One invocation a pixel.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "texture.h"
#define JOB TexturePixelsJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    U32 cursor = p.jobs.job[j].cursor;
    F32 colours = p.jobs.job[j].colours;
    U32 pixels = p.jobs.job[j].pixels;
    uint samples = p.jobs.job[j].samples;
    uint at = cursor.v[0] * samples + i;
    if (i >= samples || at >= p.jobs.job[j].count)
        return;

    uint word = 0xff000000u;
    for (uint c = 0; c < COLOURS; ++c) {
        uint value = uint(clamp(colours.v[i * COLOURS + c] + 0.5, 0.0, 1.0) * 255.0 + 0.5);
        word |= value << (8 * (p.jobs.job[j].blue_first != 0 ? COLOURS - 1 - c : c));
    }
    pixels.v[at] = word;
}
