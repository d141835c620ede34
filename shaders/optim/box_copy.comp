// SPDX-License-Identifier: MIT
// Copies boxes of tensors of any order, f32, with strides of their own on both sides (a box out of a larger tensor, or
// with its axes in another order); all of them in one dispatch. A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/box_copy.h"

#define JOB BoxCopyJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    uint axes = p.jobs.job[j].axes;
    uint begin = (group - p.jobs.job[j].first_group) * rounds * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    F32 from = p.jobs.job[j].from;
    F32 to = p.jobs.job[j].to;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = begin + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        uint source = p.jobs.job[j].from_first;
        uint target = p.jobs.job[j].to_first;
        uint rest = i;
        for (uint k = 0u; k < axes; ++k) {
            uint a = axes - 1u - k;
            uint extent = p.jobs.job[j].extent[a];
            uint next = rest / extent;
            uint at = rest - next * extent;
            source += at * p.jobs.job[j].from_stride[a];
            target += at * p.jobs.job[j].to_stride[a];
            rest = next;
        }
        to.v[target] = from.v[source];
    }
}
