// SPDX-License-Identifier: MIT
// Dion's right factor, all matrices in one dispatch: columns of R divided by norm + eps.
//
//   momentum not zero:  factor = R / norms;  Q = factor, but where a column of R is zero, a fresh Gaussian one of
//                       expected norm 1: M had no part of it, and a column of zeros would stay one for ever
//   momentum all zero:  factor = 0;          Q = Q / norms of Q
//
// A workgroup takes THREADS / LANES columns; LANES invocations share the rows of one.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/dion.h"

#define JOB DionBasisJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "linalg/philox.glsl"

layout(constant_id = SPEC_LANES) const uint LANES = 1;

const uint UNROLL = 4; // lavapipe counts rounds

shared vec3 column_sums[gl_WorkGroupSize.x];

// The sum over the invocations of a column, in each of them.
vec3 column_sum(vec3 x, uint column, uint lane) {
    uint columns = gl_WorkGroupSize.x / LANES;
    column_sums[gl_LocalInvocationID.x] = x;
    barrier();
    [[dont_unroll]] for (uint half_size = LANES / 2u; half_size > 0u; half_size /= 2u) {
        if (lane < half_size)
            column_sums[gl_LocalInvocationID.x] += column_sums[gl_LocalInvocationID.x + half_size * columns];
        barrier();
    }
    return column_sums[column];
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 product = p.jobs.job[j].product;
    F32 basis = p.jobs.job[j].basis;
    F32 factor = p.jobs.job[j].factor;
    F32 partials = p.jobs.job[j].partials;
    uint partial_count = p.jobs.job[j].partial_count;
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    float eps = p.jobs.job[j].eps;

    uint t = gl_LocalInvocationID.x;
    vec3 sums = vec3(0.0);
    for (uint k = t; k < partial_count; k += gl_WorkGroupSize.x)
        sums = blue_combine(sums, vec3(partials.v[3u * k], partials.v[3u * k + 1u], partials.v[3u * k + 2u]));
    bool zero = workgroup_sum(sums) == vec3(0.0);

    uint columns = gl_WorkGroupSize.x / LANES;
    uint column = t % columns;
    uint lane = t / columns;
    uint col = group * columns + column;
    bool mine = col < cols;
    uint at_col = min(col, cols - 1u);
    uint count = mine ? rows : 0u;

    sums = vec3(0.0);
    for (uint row0 = lane; row0 < count; row0 += UNROLL * LANES) {
        [[unroll]] for (uint u = 0u; u < UNROLL; ++u) {
            uint row = row0 + u * LANES;
            uint at = min(row, rows - 1u) * cols + at_col;
            float x = zero ? basis.v[at] : product.v[at];
            blue_add_unrolled(sums, row < rows ? x : 0.0);
        }
    }
    float norm = blue_norm(column_sum(sums, column, lane));
    bool alive = norm > 0.0 && !is_nonfinite(norm);
    float divisor = alive ? norm + eps : 1.0;
    for (uint row0 = lane; row0 < count; row0 += UNROLL * LANES) {
        [[unroll]] for (uint u = 0u; u < UNROLL; ++u) {
            uint row = row0 + u * LANES;
            uint at = min(row, rows - 1u) * cols + at_col;
            float x = zero ? basis.v[at] : product.v[at];
            float normalized = alive ? x / divisor : 0.0;
            if (row < rows) {
                factor.v[at] = zero ? 0.0 : normalized;
                basis.v[at] = normalized;
            }
        }
    }

    // Rare, and so a loop of its own.
    uint revived = alive || zero ? 0u : count;
    uint tensor = p.jobs.job[j].tensor;
    float scale = 1.0 / sqrt(float(rows));
    for (uint row = lane; row < revived; row += LANES) {
        uint at = row * cols + at_col;
        uvec4 words = philox(uvec4(at, p.control.c.step, tensor, DION_STREAM_REVIVE), uvec2(p.control.c.seed, 0u));
        basis.v[at] = scale * normal_pair(words.x, words.y).x;
    }
}
