// SPDX-License-Identifier: MIT
// K B of two matrices of one structure, which the product has too; many in one dispatch. One invocation an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "curvature/structured.h"

#define JOB StructuredMultiplyJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "curvature/structured.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    set_structure(p.jobs.job[j].structure.kind, p.jobs.job[j].structure.order, p.jobs.job[j].structure.first,
                  p.jobs.job[j].structure.last);
    U32 k = p.jobs.job[j].k;
    F32 b = p.jobs.job[j].b;
    F32 to = p.jobs.job[j].to;
    uint e = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (e >= p.jobs.job[j].stored)
        return;
    uvec2 at = position_of(e);
    float sum = 0.0;
    [[dont_unroll]] for (uint s = 0u; s < SEGMENTS; ++s) {
        uvec4 column = column_segment(at.y, s);
        for (uint r0 = 0u; r0 < column.y; r0 += 64u) {
            float part = 0.0;
            uint r1 = min(r0 + 64u, column.y);
            for (uint r = r0; r < r1; ++r) {
                uint place = place_of(at.x, column.x + r);
                float left = load(k, place == NOWHERE ? 0u : place, DTYPE_A);
                part += (place == NOWHERE ? 0.0 : left) * b.v[column.z + r * column.w];
            }
            sum += part;
        }
    }
    to.v[e] = sum;
}
