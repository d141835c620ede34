// SPDX-License-Identifier: MIT
// What a convolution's kernel sees at each position, as rows; zero beyond the images' edges. One invocation an element.
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
    uint channels = p.jobs.job[j].channels;
    uint height = p.jobs.job[j].height;
    uint width = p.jobs.job[j].width;
    uint out_height = p.jobs.job[j].out_height;
    uint out_width = p.jobs.job[j].out_width;
    uint kx = i % kernel;
    uint ky = i / kernel % kernel;
    uint row = i / (kernel * kernel);
    uint channel = row % channels;
    uint position = row / channels;
    uint image = position / (out_width * out_height);
    // Below zero they wrap round, beyond the image.
    uint x = position % out_width * p.jobs.job[j].stride + kx - p.jobs.job[j].padding;
    uint y = position / out_width % out_height * p.jobs.job[j].stride + ky - p.jobs.job[j].padding;
    bool inside = x < width && y < height;
    float value = images.v[inside ? ((image * channels + channel) * height + y) * width + x : 0u];
    patches.v[i] = inside ? value : 0.0;
}
