// SPDX-License-Identifier: MIT
// Bilinear lookup in the levels of the grid: the inputs of the network (Mueller et al., arXiv 2201.05989, with dense
// levels).
//
//   inputs[i, column + f] = sum over the four vertices v around sample i of  w(v, i) grid[v, f]
//   w(v, i) = (1 - |dx|)(1 - |dy|)
//
// One invocation a level and sample; a workgroup has samples of one level.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "texture.h"
#define JOB TextureEncodeJob
#include "core/kernel.glsl"
#include "texture_sample.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint local_group = group - p.jobs.job[j].first_group;
    uint level_groups = p.jobs.job[j].level_groups;
    uint level = local_group / level_groups;
    uint i = (local_group - level * level_groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    TextureSampling sampling = p.jobs.job[j].sampling;
    if (i >= sampling.samples)
        return;

    U32 cursor = p.jobs.job[j].cursor;
    F32 grid = p.jobs.job[j].grid;
    Levels levels = p.jobs.job[j].levels;
    F32 inputs = p.jobs.job[j].inputs;
    TextureLevel l = levels.v[level];
    vec2 at = grid_position(l, sample_pixel(sampling, cursor.v[0], i));
    // Inside the grid, also for samples behind the last pixel of a picture that is drawn.
    uvec2 cell = min(uvec2(at), uvec2(l.cols, l.rows) - 1);
    vec2 weight = min(at - vec2(cell), vec2(1.0));

    uint upper = l.first + (cell.y * (l.cols + 1) + cell.x) * FEATURES;
    uint lower = upper + (l.cols + 1) * FEATURES;
    uint to = i * p.jobs.job[j].stride + l.column;
    for (uint f = 0; f < FEATURES; ++f) {
        float above = (1.0 - weight.x) * grid.v[upper + f] + weight.x * grid.v[upper + FEATURES + f];
        float below = (1.0 - weight.x) * grid.v[lower + f] + weight.x * grid.v[lower + FEATURES + f];
        inputs.v[to + f] = (1.0 - weight.y) * above + weight.y * below;
    }
}
