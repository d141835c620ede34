// SPDX-License-Identifier: MIT
// Gradients in the eigenbasis of Kronecker factors, over the damped curvature there; all of them in one dispatch:
//
//   V_ij <- V_ij / (r_i c_j + level), or V_ij / (moment_ij + level) with KRONECKER_MOMENTS
//
// What rounding alone puts into the null space of a factor, where r_i or c_j is 0, becomes 0 first: V is zero there if
// G is made of what the factors are made of. A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerDivideJob
#include "core/kernel.glsl"
#include "curvature/elements.glsl"

// That of a factor, as a share of |V|: rounding turns the null space towards an eigenvector by sqrt(n) 2^-24 times the
// largest eigenvalue over its own, and along it G has the root of the inverse; the smallest counts. Ascending values.
float null_noise(F32 values, uint order) {
    if (values.v[0] > 0.0)
        return 0.0;
    uint first = 0u, last = order - 1u;
    while (first < last) {
        uint middle = (first + last) / 2u;
        if (values.v[middle] > 0.0)
            last = middle;
        else
            first = middle + 1u;
    }
    float smallest = values.v[last];
    return smallest > 0.0 ? 5.9604645e-8 * sqrt(float(order)) * sqrt(values.v[order - 1u] / smallest) : 0.0;
}

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
    F32 norm_address = p.jobs.job[j].norm;
    float norm = norm_address.v[0];
    float row_noise = null_noise(row_values, count / cols) * norm;
    float column_noise = null_noise(column_values, cols) * norm;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        uint row = i / cols;
        float row_value = row_values.v[row];
        float column_value = column_values.v[i - row * cols];
        float curvature;
        if (from_moments)
            curvature = moments.v[i];
        else
            curvature = row_value * column_value;
        float noise = (row_value > 0.0 ? 0.0 : row_noise) + (column_value > 0.0 ? 0.0 : column_noise);
        float value = matrix.v[i];
        if (abs(value) <= noise)
            value = 0.0;
        // Half of it twice: a denominator beyond 2^126 has no normal reciprocal.
        matrix.v[i] = (0.5 * value) / (0.5 * curvature + 0.5 * level);
    }
}
