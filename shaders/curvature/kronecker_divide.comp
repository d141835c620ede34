// SPDX-License-Identifier: MIT
// Gradients in the eigenbasis of Kronecker factors, over the damped curvature there; all of them in one dispatch:
//
//   V_ij <- V_ij / (r_i c_j + level), or V_ij / (moment_ij + level) with KRONECKER_MOMENTS
//
// A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerDivideJob
#include "core/kernel.glsl"
#include "curvature/elements.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    uint cols = p.jobs.job[j].cols;
    uint rounds = p.jobs.job[j].rounds;
    bool from_moments = (p.jobs.job[j].flags & KRONECKER_MOMENTS) != 0u;
    F32 matrix = p.jobs.job[j].matrix;
    F32 row_values = p.jobs.job[j].row_values;
    F32 column_values = p.jobs.job[j].column_values;
    F32 moments = p.jobs.job[j].moments;
    F32 level_address = p.jobs.job[j].level;
    float level = level_address.v[0];
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        float curvature;
        if (from_moments) {
            curvature = moments.v[i];
        } else {
            uint row = i / cols;
            curvature = row_values.v[row] * column_values.v[i - row * cols];
        }
        // Half of it twice: a denominator beyond 2^126 has no normal reciprocal.
        matrix.v[i] = (0.5 * matrix.v[i]) / (0.5 * curvature + 0.5 * level);
    }
}
