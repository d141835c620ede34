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
    }
    barrier();
    uint sum_bits = 0, diagonal_bits = 0;
    vec3 totals = vec3(0.0); // mean, -, rows that are not finite
    for (uint i = t; i < n; i += gl_WorkGroupSize.x) {
        uint at = 4 * (item * n + min(i, n - 1));
        float diagonal = rows.v[at + 2];
        sum_bits = max(sum_bits, floatBitsToUint(rows.v[at]) & 0x7fffffffu);
        diagonal_bits = max(diagonal_bits, floatBitsToUint(max(diagonal, 0.0)));
        totals.x += diagonal * (1.0 / float(n));
        totals.z += rows.v[at + 3];
    }
    atomicMax(largest_sum, sum_bits);
    atomicMax(largest_diagonal, diagonal_bits);
    totals = workgroup_sum(totals); // with barriers
    float infinity_norm = uintBitsToFloat(largest_sum);
    vec3 squares = vec3(0.0);
    for (uint i = t; i < n; i += gl_WorkGroupSize.x) {
        uint at = 4 * (item * n + min(i, n - 1));
        float ratio = ratio_of(rows.v[at], infinity_norm);
        squares.x += rows.v[at + 1] * ratio * ratio;
    }
    squares = workgroup_sum(squares);
    RootScale scale = root_scale(infinity_norm, infinity_norm * sqrt(squares.x) * 1.0001, totals.x,
                                 uintBitsToFloat(largest_diagonal), p.jobs.job[j].relative_to, p.jobs.job[j].absolute,
                                 p.jobs.job[j].relative, p.jobs.job[j].norm);
    uint verdict = totals.z > 0.0                        ? ROOT_NONFINITE
                   : infinity_norm + scale.damping > 0.0 ? ROOT_RUNNING
                                                         : ROOT_SINGULAR;
    bool usable = verdict == ROOT_RUNNING;
    float damping = scale_by(scale.damping, ROOT_UNIT_LOG - scale.exponent);
    float inverse_p = 1.0 / float(root);

    for (uint r = 0; r < PER_THREAD; ++r) {
        uint row = group * PER_THREAD + r;
        uint end = row < n ? n : 0;
        for (uint col = t; col < end; col += gl_WorkGroupSize.x) {
            uint at = item * n * n + min(row, n - 1) * n + min(col, n - 1);
            float one = row == col ? 1.0 : 0.0;
            // Matrices that cannot be done become the identity, so that nothing overflows.
            float value = usable ? scale_by(w.v[at], -scale.exponent) + damping * one : one;
            m.v[at] = value;
            x.v[at] = one;
            if (writes_t)
                next.v[at] = ((float(root) + 1.0) * one - value) * inverse_p;
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
