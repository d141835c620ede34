// SPDX-License-Identifier: MIT
// The root of a Kronecker factor, and the candidate that it was taken of, where there is one, take the place of the old
// ones; where no root was found both stay, and the failure is counted. All factors in one dispatch. A workgroup takes
// rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"
#include "linalg/status.h"

#define JOB KroneckerCommitJob
#include "core/kernel.glsl"
#include "curvature/elements.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 status = p.jobs.job[j].status;
    if (!is_usable(status.v[0])) {
        if (group == p.jobs.job[j].first_group && gl_LocalInvocationID.x == 0u) {
            U32 failures = p.jobs.job[j].failures;
            uint count = failures.v[0];
            failures.v[0] = count + uint(count != 0xffffffffu);
        }
        return;
    }
    uint order = p.jobs.job[j].order;
    uint rounds = p.jobs.job[j].rounds;
    uint count = order * order;
    bool has_candidate = (p.jobs.job[j].flags & KRONECKER_HAS_CANDIDATE) != 0u;
    F32 candidate = p.jobs.job[j].candidate;
    F32 root = p.jobs.job[j].root;
    F32 average = p.jobs.job[j].average;
    F32 whitener = p.jobs.job[j].whitener;
    uint first = element_at(j, group, 0u);
    uint lanes = lanes_at(j, group, 0u);
    for (uint r = 0u; r < rounds; ++r) {
        uint i = first + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        uint from = lanes + r * gl_WorkGroupSize.x;
        whitener.v[i] = load_element(root, i, from, count);
        if (has_candidate)
            average.v[i] = load_element(candidate, i, from, count);
    }
}
