// SPDX-License-Identifier: MIT
// EK-FAC's second moments in the eigenbasis of Kronecker factors, of all layers in one dispatch:
//
//   M_ij <- r_i c_j (KRONECKER_RESTART: the eigenvalues), or decay M_ij + (1 - decay) weight unit^2 X_ij
//
// What leaves the range of f32 leaves M_ij as it is. A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerTableJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"
#include "curvature/elements.glsl"

const float LARGEST = 1.2676506e30; // 2^100

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint flags = p.jobs.job[j].flags;
    uint count = p.jobs.job[j].count;
    uint cols = p.jobs.job[j].cols;
    uint rounds = p.jobs.job[j].rounds;
    bool restart = (flags & KRONECKER_RESTART) != 0u;
    F32 row_values = p.jobs.job[j].row_values;
    F32 column_values = p.jobs.job[j].column_values;
    F32 sums = p.jobs.job[j].sums;
    F32 unit_address = p.jobs.job[j].unit;
    F32 rates = p.jobs.job[j].rates;
    F32 moments = p.jobs.job[j].moments;
    float weight = p.jobs.job[j].weight;
    float unit = (flags & KRONECKER_HAS_UNIT) != 0u ? unit_address.v[0] : 1.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        if (restart) {
            uint row = i / cols;
            moments.v[i] = min(row_values.v[row] * column_values.v[i - row * cols], LARGEST);
            continue;
        }
        precise float x = ((sums.v[i] * unit) * unit) * weight;
        if (is_nonfinite(x) || x > LARGEST)
            continue;
        precise float m = rates.v[0] * moments.v[i] + rates.v[1] * x;
        moments.v[i] = m;
    }
}
