// SPDX-License-Identifier: MIT
// The small system of gradient windows: B = U' U'^T + lambda' I with lambda' at least 4 eps tr(U' U'^T), below which it
// would drown in the rounding errors of the Gram matrix; or B = U U^T + C. A workgroup does WOODBURY_SYSTEM_ROWS rows,
// and finds the scale for itself. A kept system tells what has changed in it: the scale stays where it can, and the
// least lambda' is a power of two, lest every row changes them, and with them all elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/woodbury.h"

#define JOB WoodburySystemJob
#include "core/kernel.glsl"
#include "linalg/woodbury.glsl"

shared int largest;
shared uint changed[WOODBURY_SYSTEM_ROWS];    // elements of each row
shared uint changed_at[WOODBURY_SYSTEM_ROWS]; // the last of them

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 gram = p.jobs.job[j].gram;
    U32 exponents = p.jobs.job[j].exponents;
    F32 b = p.jobs.job[j].b;
    F32 factors = p.jobs.job[j].factors;
    U32 info = p.jobs.job[j].info;
    uint rows = p.jobs.job[j].rows;
    uint groups = p.jobs.job[j].groups;
    bool normalized = (p.jobs.job[j].flags & WOODBURY_NORMALIZED) != 0;
    uint item = group / groups;
    group -= item * groups;
    uint t = gl_LocalInvocationID.x;
    precise float lambda = p.jobs.job[j].lambda;
    bool usable = true;
    if ((p.jobs.job[j].flags & WOODBURY_DEVICE_LAMBDA) != 0) {
        F32 device_lambda = p.jobs.job[j].device_lambda;
        float given = device_lambda.v[item * p.jobs.job[j].lambda_item];
        lambda = lambda * given;
        usable = woodbury_is_positive(given) && woodbury_is_positive(lambda);
        lambda = usable ? lambda : 1.0; // for a system that nobody solves
    }

    if (t == 0)
        largest = woodbury_exponent(sqrt(lambda));
    for (uint r = t; r < WOODBURY_SYSTEM_ROWS; r += gl_WorkGroupSize.x) {
        changed[r] = 0;
        changed_at[r] = 0;
    }
    barrier();
    int highest = -126;
    for (uint i = t; i < rows; i += gl_WorkGroupSize.x)
        highest = max(highest, int(exponents.v[item * rows + min(i, rows - 1)]));
    atomicMax(largest, highest);
    barrier();
    bool has_c = (p.jobs.job[j].flags & WOODBURY_HAS_C) != 0;
    F32 added = p.jobs.job[j].c;
    int e = has_c ? 0 : largest;
    bool keeps = (p.jobs.job[j].flags & WOODBURY_KEPT) != 0;
    if (keeps) {
        U32 kept = p.jobs.job[j].kept;
        int before = int(kept.v[item * WOODBURY_KEPT_WORDS + WOODBURY_KNOWN_EXPONENT]);
        if (kept.v[item * WOODBURY_KEPT_WORDS + WOODBURY_KNOWN] != 0 && before >= e && before <= e + 4)
            e = before;
    }
    vec3 sums = vec3(0.0); // trace, rows that are not zero, elements of the diagonal that are not finite
    for (uint i = t; i < rows; i += gl_WorkGroupSize.x) {
        uint row = item * rows + min(i, rows - 1);
        float diagonal = gram.v[row * rows + min(i, rows - 1)];
        sums.x += woodbury_scale(diagonal, 2 * (int(exponents.v[row]) - e));
        sums.y += diagonal == 0.0 ? 0.0 : 1.0;
        sums.z += is_nonfinite(diagonal) ? 1.0 : 0.0;
    }
    sums = workgroup_sum(sums);
    float rows_there = (p.jobs.job[j].flags & WOODBURY_AVERAGE) != 0 ? max(sums.y, 1.0) : 1.0;
    float wanted = rows_there * woodbury_scale(lambda, -2 * e);
    float least = 4.0 * 1.1920929e-7 * sums.x;
    if (keeps && least > 0.0)
        least = power_of_two(woodbury_exponent(least));
    bool raised = wanted < least && !has_c;
    float used = has_c ? 0.0 : raised ? least : wanted;

    for (uint r = 0; r < WOODBURY_SYSTEM_ROWS; ++r) {
        uint row = group * WOODBURY_SYSTEM_ROWS + r;
        uint end = row < rows ? rows : 0;
        int row_e = int(exponents.v[item * rows + min(row, rows - 1)]);
        for (uint i = t; i < end; i += gl_WorkGroupSize.x) {
            uint col = min(i, rows - 1);
            uint at = (item * rows + min(row, rows - 1)) * rows + col;
            float value = woodbury_scale(gram.v[at], row_e + int(exponents.v[item * rows + col]) - 2 * e);
            if (has_c)
                value += added.v[at];
            if (row == col)
                value += used;
            if (keeps && floatBitsToUint(b.v[at]) != floatBitsToUint(value)) {
                atomicAdd(changed[r], 1);
                atomicMax(changed_at[r], col);
            }
            b.v[at] = value;
        }
        if (row < rows && t == 0)
            factors.v[item * rows + row] = power_of_two(clamp(normalized ? row_e - e : -e, -127, 126));
    }
    barrier();
    if (keeps) {
        U32 changes = p.jobs.job[j].changes;
        for (uint r = t; r < WOODBURY_SYSTEM_ROWS; r += gl_WorkGroupSize.x) {
            uint row = group * WOODBURY_SYSTEM_ROWS + r;
            if (row < rows) {
                changes.v[2 * (item * rows + row)] = changed[r];
                changes.v[2 * (item * rows + row) + 1] = changed_at[r];
            }
        }
    }
    if (group == 0 && t == 0) {
        uint at = item * WOODBURY_INFO_WORDS;
        info.v[at + WOODBURY_EXPONENT] = uint(e);
        info.v[at + WOODBURY_LAMBDA] = floatBitsToUint(has_c ? 1.0 : used);
        bool nonfinite = sums.z > 0.0 || !usable;
        info.v[at + WOODBURY_VERDICT] = nonfinite ? STATUS_NONFINITE : raised ? STATUS_JITTERED : STATUS_OK;
        info.v[at + WOODBURY_REFINED] = 0;
        info.v[at + WOODBURY_COUNT] = floatBitsToUint(rows_there);
    }
}
