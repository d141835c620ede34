// SPDX-License-Identifier: MIT
// Before the first step: structured matrices are the identity. One invocation for two elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/structured.h"

#define JOB StructuredStartJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "curvature/structured.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

float start_of(uint e) {
    uvec2 at = position_of(e);
    return at.x == at.y ? 1.0 : 0.0;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    set_structure(p.jobs.job[j].structure.kind, p.jobs.job[j].structure.order, p.jobs.job[j].structure.first,
                  p.jobs.job[j].structure.last);
    uint stored = p.jobs.job[j].stored;
    U32 k = p.jobs.job[j].k;
    uint e = 2u * ((group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
    if (e + 1u < stored)
        store_pair(k, e, vec2(start_of(e), start_of(e + 1u)), DTYPE_A);
    else if (e < stored)
        store(k, e, start_of(e), DTYPE_A);
}
