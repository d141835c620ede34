// SPDX-License-Identifier: MIT
// Moves U, V and d, in one dispatch; a workgroup has LRA_ROWS rows, which it reads before it writes them. mu: rates.
//
//   U <- U A - mu_U (a (S^T V^T a)^T - b (S^T V^T b)^T)
//   V <- V B - mu_V ((a + V U^T a)(U^T a)^T - (b + V U^T b)(U^T b)^T)
//   d <- d - mu_d (P h . h - v . P^-1 v) . d
//
// V U^T a is (V before) beta, V U^T b (V before) gamma.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd_lra.h"

#define JOB PsgdLraUpdateJob
#include "core/kernel.glsl"
#include "core/half.glsl"

shared float row_scratch[LRA_ROWS * (2u * LRA_MAX_RANK + 2u)];
shared vec4 sides[LRA_ROWS]; // a, b, a + V U^T a, b + V U^T b

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint first = (group - p.jobs.job[j].first_group) * LRA_ROWS;
    uint count = min(LRA_ROWS, p.jobs.job[j].rows - first);
    uint rank = p.jobs.job[j].rank;
    uint width = 2u * rank + 2u;
    F32 w = p.jobs.job[j].w;
    F32 d = p.jobs.job[j].d;
    F32 small = p.jobs.job[j].small;
    if (small.v[LRA_GOOD] == 0.0)
        return;
    uint t = gl_LocalInvocationID.x;
    for (uint e = t; e < count * width; e += gl_WorkGroupSize.x)
        row_scratch[e] = w.v[first * width + e];
    barrier();
    for (uint r = t; r < count; r += gl_WorkGroupSize.x) {
        float ua = 0.0;
        float vb = 0.0;
        float vc = 0.0;
        float ud = 0.0;
        for (uint k = 0u; k < rank; ++k) {
            float u = row_scratch[r * width + k];
            float v = row_scratch[r * width + rank + k];
            ua += u * small.v[LRA_SCALARS + LRA_ALPHA * rank + k];
            vb += v * small.v[LRA_SCALARS + LRA_BETA * rank + k];
            vc += v * small.v[LRA_SCALARS + LRA_GAMMA * rank + k];
            ud += u * small.v[LRA_SCALARS + LRA_DELTA * rank + k];
        }
        float dh = row_scratch[r * width + 2u * rank];
        float vd = row_scratch[r * width + 2u * rank + 1u];
        float a = dh + ua;
        float b = vd - vc;
        sides[r] = vec4(a, b, a + vb, b + vc);
        float change = (a + vb) * dh - (b - ud) * vd;
        float x = d.v[first + r];
        d.v[first + r] = clamp_finite(x - small.v[LRA_RATES] * change * x);
    }
    barrier();
    uint vectors = LRA_SCALARS;
    uint matrices = LRA_SCALARS + LRA_VECTORS * rank;
    for (uint e = t; e < count * 2u * rank; e += gl_WorkGroupSize.x) {
        uint r = e / (2u * rank);
        uint c = e - r * 2u * rank;
        bool of_u = c < rank;
        uint column = of_u ? c : c - rank;
        uint from = r * width + (of_u ? 0u : rank);
        uint by = matrices + (of_u ? LRA_A : LRA_B) * rank * rank + column;
        float x = 0.0;
        for (uint k = 0u; k < rank; ++k)
            x += row_scratch[from + k] * small.v[by + k * rank];
        vec4 side = sides[r];
        float pa = small.v[vectors + (of_u ? LRA_SVA : LRA_UA) * rank + column];
        float pb = small.v[vectors + (of_u ? LRA_SVB : LRA_UB) * rank + column];
        float mu = small.v[LRA_RATES + (of_u ? 1u : 2u)];
        float change = of_u ? side.x * pa - side.y * pb : side.z * pa - side.w * pb;
        w.v[(first + r) * width + c] = clamp_finite(x - mu * change);
    }
}
