// SPDX-License-Identifier: MIT
// The beginning of a power iteration, all matrices in one dispatch:
//
//   f = largest diagonal element, or absolute value, of S;   N = S / f;   E = (A - B) / f, or its upper triangle
//   V_r = N_j + sign(z_r N_j) z_r,  N_j the row of the largest norm, z_r a vector of normal numbers; or V = N_j
//
// (PSGD's estimate of a spectral norm: psgd.py, norm_lower_bound_spd and _skh.) Every workgroup finds f and j by
// itself. The first element_groups workgroups of a job have rounds x workgroup size elements each, the others a vector.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd.h"

#define JOB PsgdBoundJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

shared vec4 best_scratch[gl_WorkGroupSize.x]; // f, largest norm, its row, largest of Q

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint order = p.jobs.job[j].order;
    uint flags = p.jobs.job[j].flags;
    uint element_groups = p.jobs.job[j].element_groups;
    uint rounds = p.jobs.job[j].rounds;
    bool sums = (flags & PSGD_SUM) != 0u;
    F32 a = p.jobs.job[j].a;
    F32 b = p.jobs.job[j].b;
    F32 rows = p.jobs.job[j].rows;
    uint t = gl_LocalInvocationID.x;

    // Rows in rising order in each invocation, and a smaller row wins a tie in the tree, too. Small integers are exact
    // in f32.
    vec4 best = vec4(0.0, -1.0, 0.0, 0.0);
    float bad = 0.0;
    for (uint i = t; i < order; i += gl_WorkGroupSize.x) {
        float norm = rows.v[3u * i];
        bad = is_nonfinite(norm) ? 1.0 : bad;
        best.x = max(best.x, rows.v[3u * i + 1u]);
        best.w = max(best.w, rows.v[3u * i + 2u]);
        if (norm > best.y) {
            best.y = norm;
            best.z = float(i);
        }
    }
    best_scratch[t] = best;
    bad = workgroup_sum(vec3(bad, 0.0, 0.0)).x;
    for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size) {
            vec4 mine = best_scratch[t];
            vec4 other = best_scratch[t + half_size];
            bool wins = other.y > mine.y || (other.y == mine.y && other.z < mine.z);
            best_scratch[t] = vec4(max(mine.x, other.x), wins ? other.yz : mine.yz, max(mine.w, other.w));
        }
        barrier();
    }
    best = best_scratch[0];
    float f = best.x;
    bool usable = bad == 0.0 && f >= 1.17549435e-38;
    bool stops = (flags & PSGD_LIMIT) != 0u && f < 0.001 * best.w;
    if (group == 0u && t == 0u) {
        F32 scalars = p.jobs.job[j].scalars;
        U32 running = p.jobs.job[j].running;
        scalars.v[PSGD_FACTOR_UNIT] = bad != 0.0 ? uintBitsToFloat(0x7fc00000u) : usable ? f : 0.0;
        if ((flags & PSGD_LIMIT) != 0u)
            running.v[0] = stops ? 0u : 1u;
    }
    if (stops)
        return;

    if (group < element_groups) {
        F32 n = p.jobs.job[j].n;
        F32 e = p.jobs.job[j].e;
        uint count = order * order;
        uint begin = group * rounds * gl_WorkGroupSize.x + t;
        for (uint r = 0u; r < rounds; ++r) {
            uint i = begin + r * gl_WorkGroupSize.x;
            if (i >= count)
                break;
            float x = a.v[i];
            float y = 0.0;
            if (sums)
                y = b.v[i];
            n.v[i] = usable ? (x + y) / f : 0.0;
            if ((flags & PSGD_DIFFERENCE) != 0u) {
                bool kept = (flags & PSGD_TRIANGLE) == 0u || i / order <= i % order;
                e.v[i] = usable && kept ? (x - y) / f : 0.0;
            }
        }
        return;
    }
    uint vector = group - element_groups;
    uint row = uint(best.z);
    F32 draws = p.jobs.job[j].draws;
    F32 v = p.jobs.job[j].v;
    bool random = (flags & PSGD_DRAWS) != 0u;
    float product = 0.0;
    if (random)
        for (uint c = t; c < order; c += gl_WorkGroupSize.x) {
            float x = a.v[row * order + c];
            if (sums)
                x += b.v[row * order + c];
            product += (x / f) * draws.v[vector * order + c];
        }
    product = workgroup_sum(vec3(product, 0.0, 0.0)).x;
    float side = product > 0.0 ? 1.0 : product < 0.0 ? -1.0 : 0.0;
    for (uint c = t; c < order; c += gl_WorkGroupSize.x) {
        float x = a.v[row * order + c];
        if (sums)
            x += b.v[row * order + c];
        float z = 0.0;
        if (random)
            z = draws.v[vector * order + c];
        v.v[vector * order + c] = usable ? x / f + side * z : 0.0;
    }
}
