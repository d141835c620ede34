// SPDX-License-Identifier: MIT
// Gradient of the grid, gathered: every vertex looks for its samples, so nothing is added in an order that depends on
// timing.
//
//   grid_gradient[v, f] = sum over samples i of  w(v, i) input_gradient[i, level.column + f]
//   w as in texture_encode.comp
//
// The samples around a vertex are those of the strata around it. A job a level; `lanes` neighbouring invocations share
// a vertex, and their sums are added as a fixed tree: coarse levels have few vertices with many samples each.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "texture.h"
#define JOB TextureGridJob
#include "core/kernel.glsl"
#include "texture_sample.glsl"

shared vec4 partial[GRID_THREADS];

// First and last stratum of an axis with pixels whose centres lie within a cell of the vertex.
uvec2 strata_around(uint vertex, float cells_a_pixel, uint step, uint extent) {
    float first = floor((float(vertex) - 1.0) / cells_a_pixel - 0.5);
    float last = ceil((float(vertex) + 1.0) / cells_a_pixel - 0.5);
    uint low = uint(clamp(first, 0.0, float(extent - 1)));
    uint high = uint(clamp(last, 0.0, float(extent - 1)));
    return uvec2(stratum_of(low, step), stratum_of(high, step));
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 cursor = p.jobs.job[j].cursor;
    F32 input_gradient = p.jobs.job[j].input_gradient;
    F32 grid_gradient = p.jobs.job[j].grid_gradient;
    TextureSampling sampling = p.jobs.job[j].sampling;
    TextureLevel level = p.jobs.job[j].level;
    uint stride = p.jobs.job[j].stride;
    uint lanes_across = p.jobs.job[j].lanes_across;
    uint lanes_down = p.jobs.job[j].lanes_down;
    uint lanes = lanes_across * lanes_down;
    uint batch = cursor.v[0];

    uint thread = gl_LocalInvocationID.x;
    uint lane = thread % lanes;
    uint vertex = (group - p.jobs.job[j].first_group) * (GRID_THREADS / lanes) + thread / lanes;
    bool mine = vertex < (level.cols + 1) * (level.rows + 1);

    vec4 sum = vec4(0.0);
    if (mine) {
        uvec2 place = uvec2(vertex % (level.cols + 1), vertex / (level.cols + 1));
        uvec2 across = strata_around(place.x, level.cells_a_col, sampling.col_step, sampling.width);
        uvec2 down = strata_around(place.y, level.cells_a_row, sampling.row_step, sampling.height);
        for (uint row = down.x + lane / lanes_across; row <= down.y; row += lanes_down)
            for (uint col = across.x + lane % lanes_across; col <= across.y; col += lanes_across) {
                vec2 at = grid_position(level, stratum_sample(sampling, batch, uvec2(col, row)));
                vec2 weight = max(vec2(1.0) - abs(at - vec2(place)), vec2(0.0));
                float both = weight.x * weight.y;
                if (both > 0.0) {
                    uint from = (row * sampling.strata_cols + col) * stride + level.column;
                    sum += both * vec4(input_gradient.v[from], input_gradient.v[from + 1], input_gradient.v[from + 2],
                                       input_gradient.v[from + 3]);
                }
            }
    }
    if (lanes > 1) { // the same for the whole workgroup, whose invocations are all of one level
        partial[thread] = sum;
        for (uint half_count = lanes / 2; half_count > 0; half_count /= 2) {
            barrier();
            if (lane < half_count)
                partial[thread] += partial[thread + half_count];
        }
        sum = partial[thread];
    }
    if (mine && lane == 0)
        for (uint f = 0; f < FEATURES; ++f)
            grid_gradient.v[vertex * FEATURES + f] = sum[f];
}
