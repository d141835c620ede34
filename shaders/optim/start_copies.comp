// SPDX-License-Identifier: MIT
// Before the first step: fills master copies and moving averages with the parameters' values.
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/start_copies.h"

#define JOB StartCopiesJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint WEIGHT_DTYPE = DTYPE_F32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    U32x4 weight = p.jobs.job[j].parameter.weight;
    uint low = p.jobs.job[j].parameter.low;
    uint flags = p.jobs.job[j].parameter.flags;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        vec4 w = load_quad(weight, 4u * q, valid, is_wide(low, 4u * q, valid), WEIGHT_DTYPE);
        if ((flags & PARAMETER_MASTER) != 0u) {
            F32x4 master = p.jobs.job[j].parameter.master;
            store_state(master, 4u * q, valid, w);
        }
        if ((FLAGS & ELEMENTS_AVERAGE) != 0u) {
            F32x4 average = p.jobs.job[j].parameter.average;
            store_state(average, 4u * q, valid, w);
        }
    }
}
