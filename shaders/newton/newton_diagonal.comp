// SPDX-License-Identifier: MIT
// The damped matrix: a copy plus lambda on the diagonal, or one on the diagonal in place. One row an invocation of the
// diagonal, one element of the copy.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "newton/newton.h"

#define JOB NewtonDiagonalJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 1; // elements

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 matrix = p.jobs.job[j].matrix;
    F32 lambda = p.jobs.job[j].lambda;
    F32 rhs = p.jobs.job[j].rhs;
    F32 result = p.jobs.job[j].result;
    uint order = p.jobs.job[j].order;
    bool in_place = (p.jobs.job[j].flags & NEWTON_IN_PLACE) != 0u;
    float damping = lambda.v[0];
    bool bad = is_nonfinite(damping) || damping < 0.0 || (in_place && damping == 0.0);
    uint count = in_place ? order : order * order;
    for (uint e = 0; e < PER_THREAD; ++e) {
        uint i = (group * PER_THREAD + e) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (i >= count)
            return;
        uint row = in_place ? i : i / order, column = in_place ? i : i % order;
        uint at = row * order + column;
        float value = matrix.v[at];
        if (row == column) {
            value += in_place ? 1.0 : damping;
            if (bad || is_nonfinite(rhs.v[row]))
                value = uintBitsToFloat(0x7fc00000u);
        }
        result.v[at] = value;
    }
}
