// SPDX-License-Identifier: MIT
// Backward pass of conv_patches.comp: each pixel is the sum of all patches' elements that it was copied to. One invocation a
// pixel.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "jobs.h"
#define JOB ConvJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint i = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= p.jobs.job[j].count)
        return;
    F32 images = p.jobs.job[j].images;
    F32 patches = p.jobs.job[j].patches;
    uint kernel = p.jobs.job[j].kernel;
    uint stride = p.jobs.job[j].stride;
    uint channels = p.jobs.job[j].channels;
    uint height = p.jobs.job[j].height;
    uint width = p.jobs.job[j].width;
    uint out_height = p.jobs.job[j].out_height;
    uint out_width = p.jobs.job[j].out_width;
    uint x = i % width + p.jobs.job[j].padding;
    uint y = i / width % height + p.jobs.job[j].padding;
    uint channel = i / (width * height) % channels;
    uint image = i / (width * height * channels);
    float sum = 0.0;
    for (uint k = 0u; k < kernel * kernel; ++k) {
        uint ky = k / kernel;
        uint kx = k - ky * kernel;
        // Where the kernel stood when its element (ky, kx) saw this pixel.
        bool stood = x >= kx && y >= ky && (x - kx) % stride == 0u && (y - ky) % stride == 0u;
        uint ox = (x - kx) / stride;
        uint oy = (y - ky) / stride;
        stood = stood && ox < out_width && oy < out_height;
        uint row = (image * out_height + oy) * out_width + ox;
        float value = patches.v[stood ? (row * channels + channel) * kernel * kernel + k : 0u];
        sum += stood ? value : 0.0;
    }
    images.v[i] = sum;
}
