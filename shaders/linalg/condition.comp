// SPDX-License-Identifier: MIT
// condition = (|A| + damping) |X|^root, the largest float where X is not A's root. An invocation a matrix.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/condition.h"
#include "linalg/status.h"

#define JOB ConditionJob
#include "core/kernel.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (item >= p.jobs.job[j].items)
        return;
    F32 norm = p.jobs.job[j].norm;
    F32 inverse_norm = p.jobs.job[j].inverse_norm;
    F32 condition = p.jobs.job[j].condition;
    bool ok = true;
    if (p.jobs.job[j].has_status != 0) {
        U32 status = p.jobs.job[j].status;
        ok = is_usable(status.v[item]);
    }
    float of_a = norm.v[item];
    float of_x = inverse_norm.v[item];
    // What is smaller than a normal number may be flushed, or is of a matrix that is zero or not finite.
    ok = ok && of_a >= 1.17549435e-38 && of_x >= 1.17549435e-38;
    float damped = of_a + (p.jobs.job[j].damping + p.jobs.job[j].relative * of_a);
    // By logarithms, so that no factor overflows.
    float log_condition = ok ? log2(damped) + p.jobs.job[j].root * log2(of_x) : 0.0;
    ok = ok && log_condition < 127.0;
    condition.v[item] = ok ? exp2(log_condition) : uintBitsToFloat(0x7f7fffffu);
}
