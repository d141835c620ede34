// SPDX-License-Identifier: MIT
// The Riemannian momentum of structured factors (Lin et al., arXiv 2312.05705, figure 4), all of them in one dispatch:
//
//   N = sigma (t H + damping u Pi(K^T K) - I),   candidate = N + alpha m
//
// H is given over the square of a unit (1 / loss scale). t and u are the mean diagonal elements of the other side's
// H and Pi(K^T K), or 1 (STRUCTURED_KFAC_LIKE). Leaves the largest absolute value of each workgroup, NaN above all.
// Every workgroup adds up both traces by itself, in the same order, and takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/structured.h"

#define JOB StructuredMomentumJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "curvature/elements.glsl"
#include "curvature/structured.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

shared uint largest[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint flags = p.jobs.job[j].flags;
    uint lane = gl_LocalInvocationID.x;
    set_structure(p.jobs.job[j].other.kind, p.jobs.job[j].other.order, p.jobs.job[j].other.first, p.jobs.job[j].other.last);
    F32 other_h = p.jobs.job[j].other_h;
    F32 other_gram = p.jobs.job[j].other_gram;
    vec3 traces = vec3(0.0);
    if ((flags & STRUCTURED_KFAC_LIKE) == 0u) {
        for (uint i = lane; i < s_order; i += gl_WorkGroupSize.x) {
            uint place = place_of(i, i);
            traces += vec3(other_h.v[place], other_gram.v[place], 0.0);
        }
    }
    traces = workgroup_sum(traces) / float(s_order);
    if ((flags & STRUCTURED_OTHER_UNIT) != 0u) {
        F32 other_unit = p.jobs.job[j].other_unit;
        float unit = other_unit.v[0];
        precise float scaled = (traces.x * unit) * unit;
        traces.x = scaled;
    }
    if ((flags & STRUCTURED_KFAC_LIKE) != 0u)
        traces = vec3(1.0);
    float h_unit = 1.0;
    if ((flags & STRUCTURED_HAS_UNIT) != 0u) {
        F32 own_unit = p.jobs.job[j].unit;
        h_unit = own_unit.v[0];
    }

    set_structure(p.jobs.job[j].structure.kind, p.jobs.job[j].structure.order, p.jobs.job[j].structure.first,
                  p.jobs.job[j].structure.last);
    uint stored = p.jobs.job[j].stored;
    uint rounds = p.jobs.job[j].rounds;
    float sigma = p.jobs.job[j].sigma;
    float alpha = p.jobs.job[j].alpha;
    float damping = p.jobs.job[j].damping * traces.y;
    F32 h = p.jobs.job[j].h;
    F32 gram = p.jobs.job[j].gram;
    U32 momentum = p.jobs.job[j].momentum;
    F32 candidate = p.jobs.job[j].candidate;
    uint most = 0u;
    for (uint r = 0u; r < rounds; ++r) {
        uint e = element_at(j, group, r);
        if (e >= stored)
            break;
        uvec2 at = position_of(e);
        precise float scaled = (h.v[e] * h_unit) * h_unit;
        float n = traces.x * scaled + damping * gram.v[e];
        float m = sigma * (at.x == at.y ? n - 1.0 : n);
        if ((flags & STRUCTURED_HAS_MOMENTUM) != 0u)
            m += alpha * load(momentum, e, DTYPE_A);
        candidate.v[e] = m;
        most = max(most, floatBitsToUint(m) & 0x7fffffffu);
    }
    largest[lane] = most;
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) {
        if (lane < half_size)
            largest[lane] = max(largest[lane], largest[lane + half_size]);
        barrier();
    }
    if (lane == 0u) {
        F32 maxima = p.jobs.job[j].maxima;
        maxima.v[group - p.jobs.job[j].first_group] = uintBitsToFloat(largest[0]);
    }
}
