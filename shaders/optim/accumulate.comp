// SPDX-License-Identifier: MIT
// Adds one micro-batch's gradients to the f32 accumulators of all parameters: A <- G in the first micro-batch after a
// step, else A + G. One workgroup takes rounds x workgroup size quads.
//
// A sum of finite gradients that f32 cannot hold is infinite, for the step to find and to skip; where it would not be
// skipped (ACCUMULATE_FINITE), the sum is the largest finite number.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/accumulate.h"

#define JOB AccumulateJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"

vec4 add_finite(vec4 a, vec4 b) {
    uvec4 larger = max(floatBitsToUint(a) & 0x7fffffffu, floatBitsToUint(b) & 0x7fffffffu);
    return mix(a + b, clamp_finite(a + b, DTYPE_F32), lessThan(larger, uvec4(0x7f800000u)));
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    begin_gradient(j);
    StepControlRef control = p.jobs.job[j].control;
    bool first = control.c.micro_batches == 0u;
    F32x4 accumulator = p.jobs.job[j].accumulator;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        vec4 sum = load_raw_gradient(4u * q, valid);
        if (!first) {
            vec4 before = load_state(accumulator, 4u * q, valid);
            sum = (FLAGS & ACCUMULATE_FINITE) != 0u ? add_finite(before, sum) : before + sum;
        }
        store_state(accumulator, 4u * q, valid, sum);
    }
}
