// SPDX-License-Identifier: MIT
// Row by row of W, with the coefficients of psgd_lra_small.comp, all in one dispatch:
//
//   a = d h + U alpha;  P h . h = (a + V beta) . d h;  b = v/d - V gamma;  v . P^-1 v = (b - U delta) . v/d
//
// their largest absolute values and the squares of |a| and |b|, partial results of a workgroup; or, with LRA_APPLY,
// y = d (d x + U alpha + V beta). A workgroup takes rounds x workgroup size rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/psgd_lra.h"

#define JOB PsgdLraRowsJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"

shared vec2 largest_scratch[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint rows = p.jobs.job[j].rows;
    uint rounds = p.jobs.job[j].rounds;
    uint rank = p.jobs.job[j].rank;
    bool applies = (p.jobs.job[j].flags & LRA_APPLY) != 0u;
    F32 w = p.jobs.job[j].w;
    F32 d = p.jobs.job[j].d;
    F32 small = p.jobs.job[j].small;
    F32 to = p.jobs.job[j].to;
    uint t = gl_LocalInvocationID.x;
    uint begin = group * rounds * gl_WorkGroupSize.x + t;
    uint width = 2u * rank + 2u;

    vec2 largest = vec2(0.0);
    vec3 sums = vec3(0.0);
    for (uint r = 0u; r < rounds; ++r) {
        uint row = begin + r * gl_WorkGroupSize.x;
        if (row >= rows)
            break;
        float ua = 0.0;
        float vb = 0.0;
        float vc = 0.0;
        float ud = 0.0;
        for (uint k = 0u; k < rank; ++k) {
            float u = w.v[row * width + k];
            float v = w.v[row * width + rank + k];
            ua += u * small.v[LRA_SCALARS + LRA_ALPHA * rank + k];
            vb += v * small.v[LRA_SCALARS + LRA_BETA * rank + k];
            if (!applies) {
                vc += v * small.v[LRA_SCALARS + LRA_GAMMA * rank + k];
                ud += u * small.v[LRA_SCALARS + LRA_DELTA * rank + k];
            }
        }
        float dh = w.v[row * width + 2u * rank];
        float vd = w.v[row * width + 2u * rank + 1u];
        float a = dh + ua;
        if (applies) {
            to.v[row] = d.v[row] * (a + vb);
            continue;
        }
        float b = vd - vc;
        float first = abs((a + vb) * dh);
        float second = abs((b - ud) * vd);
        sums += vec3(a * a, b * b, is_nonfinite(first) || is_nonfinite(second) ? 1.0 : 0.0);
        largest = max(largest, vec2(first, second));
    }
    if (applies)
        return;
    largest_scratch[t] = largest;
    sums = workgroup_sum(sums);
    for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size)
            largest_scratch[t] = max(largest_scratch[t], largest_scratch[t + half_size]);
        barrier();
    }
    if (t == 0u) {
        bool bad = sums.z != 0.0;
        float nan = uintBitsToFloat(0x7fc00000u);
        to.v[4u * group] = bad ? nan : largest_scratch[0].x;
        to.v[4u * group + 1u] = largest_scratch[0].y;
        to.v[4u * group + 2u] = sums.x;
        to.v[4u * group + 3u] = sums.y;
    }
}
