// SPDX-License-Identifier: MIT
// Rows (inverse: columns) of the matrix of the cosine transform, by index; many jobs in one dispatch.
//
//   to[r][i] = s_k cos(pi (2 i + 1) k / (2 n)),  k = indices[r]         inverse: (2 k + 1) i, and s_i
//
// The angle is a count of quarter turns / n, in integers; its cosine comes from the table. One invocation takes
// PER_THREAD elements, THREADS apart.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/dct.h"
#define JOB DctBasisJob
#include "core/kernel.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 indices = p.jobs.job[j].indices;
    F32 table = p.jobs.job[j].table;
    F32 to = p.jobs.job[j].to;
    uint n = p.jobs.job[j].n;
    uint count = p.jobs.job[j].count;
    float scale = p.jobs.job[j].scale;
    float scale0 = p.jobs.job[j].scale0;
    bool inverse = p.jobs.job[j].inverse != 0u;
    uint first = group * gl_WorkGroupSize.x * PER_THREAD + gl_LocalInvocationID.x;
    for (uint q = 0u; q < PER_THREAD; ++q) {
        uint e = first + q * gl_WorkGroupSize.x;
        if (e >= count)
            break;
        uint row = e / n;
        uint i = e - row * n;
        uint k = indices.v[row];
        // A full turn is 4 n; the cosine is even, and odd about a quarter turn.
        uint turn = (inverse ? (2u * k + 1u) * i : (2u * i + 1u) * k) % (4u * n);
        uint half_turn = turn > 2u * n ? 4u * n - turn : turn;
        uint quarter = half_turn > n ? 2u * n - half_turn : half_turn;
        float cosine = quarter == n ? 0.0 : table.v[2u * min(quarter, n - 1u)];
        to.v[e] = ((inverse ? i : k) == 0u ? scale0 : scale) * (half_turn > n ? -cosine : cosine);
    }
}
