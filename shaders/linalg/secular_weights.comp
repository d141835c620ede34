// SPDX-License-Identifier: MIT
// The z for which the computed roots x_j are exact (Gu and Eisenstat 1994; secular.h), one invocation a pole:
//
//   z_i^2 = (x_i - d_i) / rho  product over j != i of (x_j - d_i) / (d_j - d_i)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/secular.h"
#define JOB SecularJob
#include "core/kernel.glsl"
#include "linalg/secular.glsl"

void main() {
    if (nothing_to_do())
        return;
    Merge x = find_merge();
    F32 e = p.jobs.job[x.j].e;
    F32 numbers = p.jobs.job[x.j].numbers;
    U32 words = p.jobs.job[x.j].words;
    uint kept = words.v[SECULAR_KEPT_COUNT * x.total + x.index];
    uint i = x.group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= kept)
        return;
    uint poles = SECULAR_KEPT * x.total + x.base;
    uint origins = SECULAR_ORIGIN * x.total + x.base;
    uint offsets = SECULAR_OFFSET * x.total + x.base;
    float d = numbers.v[poles + i];
    float product = 1.0 / (2.0 * abs(e.v[coupling_index(x)]));
    for (uint j = 0; j < kept; ++j) {
        uint at = min(j, kept - 1);
        precise float to_root = (numbers.v[origins + at] - d) + numbers.v[offsets + at];
        float to_pole = numbers.v[poles + at] - d;
        product *= at == i ? to_root : to_root / to_pole;
    }
    float z = sqrt(max(product, 1e-37));
    numbers.v[SECULAR_WEIGHT * x.total + x.base + i] = numbers.v[SECULAR_KEPT_Z * x.total + x.base + i] < 0.0 ? -z : z;
}
