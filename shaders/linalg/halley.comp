// SPDX-License-Identifier: MIT
// Small matrices of Halley's iteration for the polar factor (HalleyJob): a multiple of X and one of the identity. 1024
// elements a workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/halley.h"
#define JOB HalleyJob
#include "core/kernel.glsl"

const uint CHUNK = 1024;

float power(float s, uint exponent) { return exponent == 0 ? 1.0 : exponent == 1 ? s : s * s; }

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 x = p.jobs.job[j].x;
    F32 y = p.jobs.job[j].y;
    F32 norms = p.jobs.job[j].norm;
    uint order = p.jobs.job[j].order;
    uint chunks = p.jobs.job[j].chunks;
    uint x_power = p.jobs.job[j].x_power;
    uint diagonal_power = p.jobs.job[j].diagonal_power;
    uint item = group / chunks;
    uint chunk = group - item * chunks;
    float s = 1.0;
    if (x_power + diagonal_power > 0) {
        float norm = norms.v[item];
        if (norm > 0.0)
            s = 1.0 / sqrt(sqrt(norm));
    }
    float factor = p.jobs.job[j].factor * power(s, x_power);
    float diagonal = p.jobs.job[j].diagonal * power(s, diagonal_power);
    uint count = order * order;
    uint at = item * count;
    for (uint i = chunk * CHUNK + gl_LocalInvocationID.x; i < min(count, chunk * CHUNK + CHUNK); i += gl_WorkGroupSize.x) {
        uint row = i / order;
        float value = factor * x.v[at + min(i, count - 1)];
        if (i - row * order == row)
            value += diagonal;
        y.v[at + i] = value;
    }
}
