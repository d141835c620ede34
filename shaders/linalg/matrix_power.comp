// SPDX-License-Identifier: MIT
// W = V diag(f(lambda)), f(lambda) = (lambda + damping)^exponent with a rule for what is too small (MatrixPowerJob). An
// invocation takes 64 rows of one column.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/matrix_power.h"
#include "linalg/status.h"
#define JOB MatrixPowerJob
#include "core/kernel.glsl"
#include "core/math.glsl"
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 v = p.jobs.job[j].v;
    F32 values = p.jobs.job[j].values;
    F32 w = p.jobs.job[j].w;
    U32 eigh_status = p.jobs.job[j].eigh_status;
    uint order = p.jobs.job[j].order;
    uint chunks = p.jobs.job[j].chunks;
    uint row_chunks = p.jobs.job[j].row_chunks;
    uint rule = p.jobs.job[j].rule;
    float high = p.jobs.job[j].exponent_high;
    float low = p.jobs.job[j].exponent_low;
    uint item = group / chunks;
    uint t = (group - item * chunks) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (t >= order * row_chunks)
        return;
    uint row0 = t / order * POWER_ROWS;
    uint col = t % order;

    uint status = eigh_status.v[item];
    uint at = item * order;
    float smallest = values.v[at];
    float largest = values.v[at + order - 1u];
    if (is_nonfinite(smallest) || is_nonfinite(largest))
        status = STATUS_NONFINITE; // eigenvalues beyond f32
    float damping = p.jobs.job[j].damping + p.jobs.job[j].relative_damping * max(largest, 0.0);
    float shift = damping;
    if (rule == FLOOR_SHIFT && smallest < 0.0)
        shift -= smallest;
    float top = largest + shift;
    if (is_nonfinite(top))
        status = STATUS_NONFINITE;
    float relative_floor = p.jobs.job[j].floor;
    float absolute_floor = p.jobs.job[j].absolute_floor;
    float least = absolute_floor;
    if (rule != FLOOR_EXACT)
        least = max((rule == FLOOR_CLEAR ? 1.1920929e-7 : relative_floor) * top, absolute_floor);
    float value = values.v[at + col] + shift;
    float zero = max(relative_floor * max(largest, 0.0), absolute_floor);
    if (rule >= FLOOR_LEVEL && values.v[at + col] <= zero) {
        value = damping;
        if (rule == FLOOR_LEVEL && damping < least) {
            uint first = col, last = order - 1u; // the smallest eigenvalue above zero is in between
            while (first < last) {
                uint middle = (first + last) / 2u;
                if (values.v[at + middle] <= zero)
                    first = middle + 1u;
                else
                    last = middle;
            }
            value = values.v[at + last] + damping;
        }
    }
    float weight = 0.0;
    bool none = high == 0.0 && low == 0.0;
    bool usable = status != STATUS_NONFINITE && (top >= 1.1754944e-38 || none);
    if (usable) {
        bool low_value = value < least || (rule == FLOOR_DROP && value <= least);
        if (none)
            weight = rule == FLOOR_DROP && low_value ? 0.0 : 1.0;
        else if (!(rule == FLOOR_DROP && low_value))
            weight = power(max(max(value, least), 1.1754944e-38), high, low);
    }
    if (t == 0u && p.jobs.job[j].has_status != 0u) {
        U32 out_status = p.jobs.job[j].status;
        if (status == STATUS_OK) {
            float lowest = smallest + shift;
            float margin = least;
            if (rule == FLOOR_CLEAR)
                margin *= float(order);
            if (rule == FLOOR_EXACT)
                margin = zero;
            if (top < 1.1754944e-38)
                status = STATUS_SINGULAR;
            else if (smallest + damping < -margin)
                status = STATUS_INDEFINITE;
            else if (rule == FLOOR_DROP && lowest <= least)
                status = STATUS_RANK_DEFICIENT;
            else if ((lowest < least && rule != FLOOR_EXACT) || shift > damping)
                status = STATUS_JITTERED;
        }
        out_status.v[item] = status;
    }

    uint stride = p.jobs.job[j].v_stride;
    uint v_at = item * p.jobs.job[j].v_item + col;
    uint w_at = item * order * order + col;
    for (uint row = row0; row < min(row0 + POWER_ROWS, order); ++row)
        w.v[w_at + row * order] = weight * v.v[v_at + min(row, order - 1u) * stride];
}
