// SPDX-License-Identifier: MIT
// Squares of single samples' gradients in the eigenbasis of Kronecker factors, whose parts P = s Q_S and R = a Q_A are
// there; all layers in one dispatch:
//
//   X_ij = sum over samples of (sum over positions of P_i R_j)^2
//
// One invocation a row and four columns. More samples than an invocation should go through come in several dispatches.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerMomentsJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint rows = p.jobs.job[j].rows;
    uint cols = p.jobs.job[j].cols;
    uint tiles = p.jobs.job[j].tiles;
    uint e = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    uint row = e / tiles;
    uint col = 4u * (e - row * tiles);
    if (row >= rows)
        return;
    uint valid = min(4u, cols - col);
    F32 row_parts = p.jobs.job[j].row_parts;
    F32 column_parts = p.jobs.job[j].column_parts;
    F32 sums = p.jobs.job[j].sums;
    uint first = p.jobs.job[j].first;
    uint samples = p.jobs.job[j].samples;
    uint positions = p.jobs.job[j].positions;
    uvec4 columns = col + min(uvec4(0u, 1u, 2u, 3u), uvec4(valid - 1u));
    uint at = row * cols + col;
    vec4 total = vec4(0.0);
    if (first != 0u) {
        for (uint k = 0u; k < valid; ++k)
            total[k] = sums.v[at + k];
    }
    uint place = first * positions;
    for (uint n = 0u; n < samples; ++n) {
        vec4 x = vec4(0.0);
        for (uint q = 0u; q < positions; ++q) {
            float s = row_parts.v[place * rows + row];
            uvec4 from = place * cols + columns;
            x += s * vec4(column_parts.v[from.x], column_parts.v[from.y], column_parts.v[from.z], column_parts.v[from.w]);
            ++place;
        }
        total += x * x;
    }
    for (uint k = 0u; k < valid; ++k)
        sums.v[at + k] = total[k];
}
