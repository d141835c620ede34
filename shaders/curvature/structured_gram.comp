// SPDX-License-Identifier: MIT
// Pi(K^T U K) and Pi(K^T K) of structured matrices K, all of them in one dispatch. U, symmetric, is given at the
// positions of the structure's elements, which is all that the result depends on. (Dense and Toeplitz matrices depend
// on all of U: they go through full products.) K^T K of Toeplitz matrices, lower or upper:
//
//   coefficient e:  weight_e sum over m >= e of (order - m) c_m c_(m - e)
//
// One invocation an element.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "curvature/structured.h"

#define JOB StructuredGramJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "curvature/structured.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

// Of U: the stored one of (i, j) and (j, i).
uint symmetric_place(uint i, uint j) {
    uint place = place_of(i, j);
    return place == NOWHERE ? place_of(j, i) : place;
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    set_structure(p.jobs.job[j].structure.kind, p.jobs.job[j].structure.order, p.jobs.job[j].structure.first,
                  p.jobs.job[j].structure.last);
    U32 k = p.jobs.job[j].k;
    F32 u = p.jobs.job[j].u;
    F32 to = p.jobs.job[j].to;
    uint e = (group - p.jobs.job[j].first_group) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (e >= p.jobs.job[j].stored)
        return;
    bool has_u = (p.jobs.job[j].flags & STRUCTURED_HAS_U) != 0u;
    float sum = 0.0;
    if (is_toeplitz()) {
        for (uint m0 = e; m0 < s_order; m0 += 64u) {
            float part = 0.0;
            uint m1 = min(m0 + 64u, s_order);
            for (uint m = m0; m < m1; ++m)
                part += float(s_order - m) * (load(k, m, DTYPE_A) * load(k, m - e, DTYPE_A));
            sum += part;
        }
    } else {
        uvec2 at = position_of(e);
        [[dont_unroll]] for (uint s = 0u; s < SEGMENTS; ++s) {
            uvec4 left = column_segment(at.x, s);
            for (uint r = 0u; r < left.y; ++r) {
                uint row = left.x + r;
                float inner = 0.0; // (U K)_(row, at.y), or K_(row, at.y)
                if (has_u) {
                    [[dont_unroll]] for (uint t = 0u; t < SEGMENTS; ++t) {
                        uvec4 right = column_segment(at.y, t);
                        for (uint q = 0u; q < right.y; ++q)
                            inner += u.v[symmetric_place(row, right.x + q)] * load(k, right.z + q * right.w, DTYPE_A);
                    }
                } else {
                    uint place = place_of(row, at.y);
                    inner = place == NOWHERE ? 0.0 : load(k, place == NOWHERE ? 0u : place, DTYPE_A);
                }
                sum += load(k, left.z + r * left.w, DTYPE_A) * inner;
            }
        }
    }
    to.v[e] = projection_weight(e) * sum;
}
