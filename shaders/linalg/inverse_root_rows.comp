// SPDX-License-Identifier: MIT
// The symmetric part of large matrices, and what their norms are made of: W = (A + A^T) / 2 and four numbers of each
// row (inverse_root.h). A workgroup does PER_THREAD rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/inverse_root.h"

#define JOB RootRowsJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/inverse_root.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

shared uint shared_top;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 a = p.jobs.job[j].a;
    F32 w = p.jobs.job[j].w;
    F32 rows = p.jobs.job[j].rows;
    uint n = p.jobs.job[j].n;
    uint stride = p.jobs.job[j].a_stride;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint a_base = item * p.jobs.job[j].a_item;
    uint w_base = item * n * n;
    uint t = gl_LocalInvocationID.x;

    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        bool inside = row < n; // the whole workgroup
        row = min(row, n - 1);
        uint top = 0; // bits of the largest element; also larger than all where one is not finite
        for (uint i = t; i < n; i += gl_WorkGroupSize.x) {
            uint col = min(i, n - 1);
            float v = load(a, a_base + row * stride + col, DTYPE_A);
            float value = mean_of(v, load(a, a_base + col * stride + row, DTYPE_A));
            if (inside)
                w.v[w_base + row * n + col] = value;
            top = max(top, floatBitsToUint(abs(is_nonfinite(v) ? v : value)));
        }
        if (t == 0)
            shared_top = 0;
        barrier();
        atomicMax(shared_top, top);
        barrier();
        bool bad = shared_top >= 0x7f800000u;
        int unit = root_unit(uintBitsToFloat(shared_top));
        vec3 sums = vec3(0.0);
        for (uint i = t; i < n; i += gl_WorkGroupSize.x)
            sums.x += abs(root_in_unit(w.v[w_base + row * n + min(i, n - 1)], unit));
        sums = workgroup_sum(sums);
        float sum = sums.x;
        sums = vec3(0.0);
        for (uint i = t; i < n; i += gl_WorkGroupSize.x) {
            float ratio = ratio_of(root_in_unit(w.v[w_base + row * n + min(i, n - 1)], unit), sum);
            sums.x += ratio * ratio;
        }
        sums = workgroup_sum(sums);
        if (inside && t == 0) {
            uint at = 4 * (item * n + row);
            rows.v[at] = sum;
            rows.v[at + 1] = sums.x;
            rows.v[at + 2] = root_in_unit(load(a, a_base + row * (stride + 1), DTYPE_A), unit);
            rows.v[at + 3] = bad                       ? ROOT_ROW_NONFINITE
                             : unit == ROOT_UNIT_LARGE ? ROOT_ROW_LARGE
                                                       : ROOT_ROW_SMALL;
        }
    }
}
