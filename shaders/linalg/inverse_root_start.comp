// SPDX-License-Identifier: MIT
// The first iterates of inverse roots of large matrices, from the norms of their rows: M = (W + damping I) / c, X = I,
// and T = ((p + 1) I - M) / p where it is asked for. A workgroup does PER_THREAD rows, and adds up the norms for
// itself.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/inverse_root.h"

#define JOB RootStartJob
#include "core/kernel.glsl"
#include "linalg/inverse_root.glsl"

layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

shared uint largest_sum; // bits of floats that are not negative
shared uint largest_diagonal;
shared uint large_rows; // 1 where there is one

// A row's norm in units of 2^unit.
float row_in_unit(float x, float row, int unit) {
    // From 2^-40 to 2^13: what vanishes is nothing beside the large rows.
    return row == ROOT_ROW_SMALL && unit == ROOT_UNIT_LARGE ? x * 1.1102230246251565e-16 : x;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 w = p.jobs.job[j].w;
    F32 rows = p.jobs.job[j].rows;
    F32 m = p.jobs.job[j].m;
    F32 x = p.jobs.job[j].x;
    F32 next = p.jobs.job[j].t;
    U32 states = p.jobs.job[j].states;
    U32 running = p.jobs.job[j].running;
    uint n = p.jobs.job[j].n;
    uint root = p.jobs.job[j].p;
    uint groups = p.jobs.job[j].groups;
    bool writes_t = (p.jobs.job[j].flags & ROOT_WRITES_T) != 0;
    uint item = group / groups;
    group -= item * groups;
    uint t = gl_LocalInvocationID.x;

    if (t == 0) {
        largest_sum = 0;
        largest_diagonal = 0;
        large_rows = root_unit(p.jobs.job[j].absolute) == ROOT_UNIT_LARGE ? 1 : 0;
    }
    barrier();
    uint large = 0;
    for (uint i = t; i < n; i += gl_WorkGroupSize.x)
        large |= rows.v[4 * (item * n + min(i, n - 1)) + 3] == ROOT_ROW_SMALL ? 0 : 1;
    atomicOr(large_rows, large);
    barrier();
    int unit = large_rows != 0 ? ROOT_UNIT_LARGE : ROOT_UNIT_SMALL;
    uint sum_bits = 0, diagonal_bits = 0;
    vec3 totals = vec3(0.0); // mean, -, rows that are not finite
    for (uint i = t; i < n; i += gl_WorkGroupSize.x) {
        uint at = 4 * (item * n + min(i, n - 1));
        float row = rows.v[at + 3];
        float diagonal = row_in_unit(rows.v[at + 2], row, unit);
        sum_bits = max(sum_bits, floatBitsToUint(row_in_unit(rows.v[at], row, unit)) & 0x7fffffffu);
        diagonal_bits = max(diagonal_bits, floatBitsToUint(max(diagonal, 0.0)));
        totals.x += diagonal * (1.0 / float(n));
        totals.z += row == ROOT_ROW_NONFINITE ? 1.0 : 0.0;
    }
    atomicMax(largest_sum, sum_bits);
    atomicMax(largest_diagonal, diagonal_bits);
    totals = workgroup_sum(totals); // with barriers
    float infinity_norm = uintBitsToFloat(largest_sum);
    vec3 squares = vec3(0.0);
    for (uint i = t; i < n; i += gl_WorkGroupSize.x) {
        uint at = 4 * (item * n + min(i, n - 1));
        float ratio = ratio_of(row_in_unit(rows.v[at], rows.v[at + 3], unit), infinity_norm);
        squares.x += rows.v[at + 1] * ratio * ratio;
    }
    squares = workgroup_sum(squares);
    float norm = p.jobs.job[j].norm;
    RootScale scale = root_scale(unit, infinity_norm, infinity_norm * sqrt(squares.x) * 1.0001, totals.x,
                                 uintBitsToFloat(largest_diagonal), p.jobs.job[j].relative_to, p.jobs.job[j].absolute,
                                 p.jobs.job[j].relative, norm > 0.0 ? norm : root_largest_norm(root));
    uint verdict = totals.z > 0.0                        ? ROOT_NONFINITE
                   : infinity_norm + scale.damping > 0.0 ? ROOT_RUNNING
                                                         : ROOT_SINGULAR;
    bool usable = verdict == ROOT_RUNNING;
    float damping = scale_by(scale.damping, unit - scale.exponent);
    bool two_words = (p.jobs.job[j].flags & ROOT_TWO_WORDS) != 0;

    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        uint end = row < n ? n : 0;
        for (uint col = t; col < end; col += gl_WorkGroupSize.x) {
            uint element = min(row, n - 1) * n + min(col, n - 1);
            float one = row == col ? 1.0 : 0.0;
            // Matrices that cannot be done become the identity, so that nothing overflows.
            float scaled = usable ? scale_by(w.v[item * n * n + element], -scale.exponent) : one;
            vec2 value = df_sum_of(scaled, usable ? damping * one : 0.0);
            uint at = (two_words ? 2 : 1) * item * n * n + element;
            m.v[at] = value.x;
            x.v[at] = one;
            if (two_words) {
                vec2 factor = root_factor(value, one, root);
                uint low = at + n * n;
                m.v[low] = value.y;
                x.v[low] = 0.0;
                next.v[at] = factor.x;
                next.v[low] = factor.y;
            } else if (writes_t) {
                next.v[at] = root_factor(value.x, one, root);
            }
        }
    }
    if (group == 0 && t == 0) {
        uint at = item * p.jobs.job[j].slots * ROOT_STATE_WORDS;
        states.v[at] = verdict;
        states.v[at + 1] = 0x7f800000u;
        states.v[at + 2] = 0;
        states.v[at + 3] = uint(scale.exponent);
        running.v[item] = usable ? 1 : 0;
    }
}
