// SPDX-License-Identifier: MIT
// Sums of the rows of gradient windows, S = U'^T q, and what is made of them (woodbury.h). An invocation does two
// neighbouring elements, and goes through all rows: no partial sums.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/woodbury.h"

#define JOB WoodburyCombineJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of the window
layout(constant_id = SPEC_DTYPE_B) const uint DTYPE_B = DTYPE_F32; // of b

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 u = p.jobs.job[j].u;
    F32 factors = p.jobs.job[j].factors;
    F32 q = p.jobs.job[j].q;
    U32 info = p.jobs.job[j].info;
    U32 b = p.jobs.job[j].b;
    F32 r = p.jobs.job[j].r;
    F32 x = p.jobs.job[j].x;
    uint d = p.jobs.job[j].d;
    uint stride = p.jobs.job[j].stride;
    uint rows = p.jobs.job[j].rows;
    uint groups = p.jobs.job[j].groups;
    uint mode = p.jobs.job[j].mode;
    uint flags = p.jobs.job[j].flags;
    uint item = group / groups;
    group -= item * groups;
    uint at = item * WOODBURY_INFO_WORDS;
    int e = int(info.v[at + WOODBURY_EXPONENT]);
    float lambda = uintBitsToFloat(info.v[at + WOODBURY_LAMBDA]);
    float weight = p.jobs.job[j].weight * uintBitsToFloat(info.v[at + WOODBURY_COUNT]);
    uint verdict = info.v[at + WOODBURY_VERDICT];
    bool refined = info.v[at + WOODBURY_REFINED] != 0;
    if ((flags & WOODBURY_IF_REFINED) != 0 && !refined)
        return;
    bool solved = verdict == STATUS_OK || verdict == STATUS_JITTERED;
    uint i = 2 * (group * gl_WorkGroupSize.x + gl_LocalInvocationID.x);
    if (i >= d)
        return;
    uint i0 = i, i1 = min(i + 1, d - 1);
    uint base = item * p.jobs.job[j].item;
    uint b_base = item * p.jobs.job[j].b_item;

    vec2 sum = vec2(0.0);
    vec2 block = vec2(0.0); // closed every 64 rows
    for (uint k = 0; k < rows; ++k) {
        uint row = min(k, rows - 1);
        uint from = base + row * stride;
        precise vec2 scaled = vec2(load(u, from + i0, DTYPE_A), load(u, from + i1, DTYPE_A)) * factors.v[item * rows + row];
        block += scaled * q.v[item * rows + row];
        if ((k & 63u) == 63u) {
            sum += block;
            block = vec2(0.0);
        }
    }
    sum += block;

    vec2 result = sum;
    if (mode != WOODBURY_RANGE) {
        vec2 given = vec2(0.0);
        if (mode == WOODBURY_CORRECT) {
            given = vec2(r.v[item * d + i0], r.v[item * d + i1]);
        } else {
            given.x = load(b, b_base + i0, DTYPE_B);
            given.y = load(b, b_base + i1, DTYPE_B);
        }
        vec2 now = vec2(0.0);
        if (mode != WOODBURY_SUBTRACT)
            now = vec2(x.v[item * d + i0], x.v[item * d + i1]);
        if (!solved)
            result = given;
        else if (mode == WOODBURY_SUBTRACT)
            result = (given - sum) / lambda;
        else if (mode == WOODBURY_RESIDUAL)
            result = (given - lambda * now) - sum;
        else
            result = now + (given - sum) / lambda;
    }
    if (verdict == STATUS_NONFINITE)
        result = vec2(0.0);
    else if (!solved && mode == WOODBURY_RANGE)
        result = vec2(woodbury_scale(result.x, e), woodbury_scale(result.y, e));
    else if (solved && mode != WOODBURY_RESIDUAL && (!refined || (flags & WOODBURY_FINAL) != 0)) {
        int power = mode == WOODBURY_RANGE ? -e : -2 * e;
        result = vec2(woodbury_scale(result.x, power), woodbury_scale(result.y, power)) * weight;
    }
    if (mode == WOODBURY_RESIDUAL) {
        r.v[item * d + i0] = result.x;
        if (i + 1 < d)
            r.v[item * d + i1] = result.y;
    } else {
        x.v[item * d + i0] = result.x;
        if (i + 1 < d)
            x.v[item * d + i1] = result.y;
    }
}
