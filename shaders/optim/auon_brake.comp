// SPDX-License-Identifier: MIT
// Sums for AuON's brake, all blocks in one dispatch: sinh(c)^2 = cosh(c)^2 - 1, one float a workgroup, with
//
//   c = gamma U / (|U| + norm_eps), or gamma U
//
// One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/auon.h"

#define JOB AuonBrakeJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "core/math.glsl"
#include "optim/parameter.glsl"

layout(constant_id = SPEC_DTYPE_D) const uint DIRECTION_DTYPE = DTYPE_F32;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint first = p.jobs.job[j].range.first;
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    U32x4 direction = p.jobs.job[j].direction;
    F32 norms = p.jobs.job[j].norm;
    uint flags = p.jobs.job[j].flags;
    float scale = p.jobs.job[j].gamma;
    if ((flags & AUON_NORMALIZED) != 0u) {
        float norm = norms.v[0];
        if ((flags & AUON_SQUARED) != 0u)
            norm = safe_sqrt(vec4(norm)).x;
        scale /= max(norm + p.jobs.job[j].norm_eps, 1.17549435e-38);
    }

    float sum = 0.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        uint i = first + 4u * q;
        vec4 x = abs(load_quad(direction, i, valid, is_wide(0u, i, valid), DIRECTION_DTYPE)) * scale;
        for (uint k = 0u; k < 4u; ++k) {
            float e = expm1_accurate(min(x[k], 40.0)); // at most gamma, up to rounding
            float s = 0.5 * (e + e / (e + 1.0));
            sum += s * s; // components beyond `valid` are zero
        }
    }
    sum = workgroup_sum(vec3(sum, 0.0, 0.0)).x;
    if (gl_LocalInvocationID.x == 0u) {
        F32 partials = p.jobs.job[j].partials;
        partials.v[group - p.jobs.job[j].first_group] = sum;
    }
}
