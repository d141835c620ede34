// SPDX-License-Identifier: MIT
// Products of full matrices with structured ones, many in one dispatch: along an axis of X
//
//   y_j = sum over i of x_i K_ij,   or K_ji (STRUCTURED_TRANSPOSED)
//
// so X K, X K^T where the axis is the columns', K^T X, K X where it is the rows'. STRUCTURED_SQUARED (diagonal): K K^T.
// An invocation has one j and four lines along the other axis, for which K is loaded once.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "curvature/structured.h"

#define JOB StructuredProductJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "curvature/structured.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
const uint LINES = 4u;

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    set_structure(p.jobs.job[j].structure.kind, p.jobs.job[j].structure.order, p.jobs.job[j].structure.first,
                  p.jobs.job[j].structure.last);
    F32 x = p.jobs.job[j].x;
    U32 k = p.jobs.job[j].k;
    F32 y = p.jobs.job[j].y;
    uint lines = p.jobs.job[j].free;
    uint line_stride = p.jobs.job[j].free_stride;
    uint along_stride = p.jobs.job[j].along_stride;
    uint flags = p.jobs.job[j].flags;
    bool transposed = (flags & STRUCTURED_TRANSPOSED) != 0u;
    bool squared = (flags & STRUCTURED_SQUARED) != 0u;

    uint lane = gl_LocalInvocationID.x, lanes = gl_WorkGroupSize.x;
    uint along, line, distance;
    if ((flags & STRUCTURED_FREE_FASTEST) != 0u) {
        uint tiles = (lines + LINES * lanes - 1u) / (LINES * lanes);
        along = group / tiles;
        line = (group - along * tiles) * LINES * lanes + lane;
        distance = lanes;
    } else {
        uint tiles = (s_order + lanes - 1u) / lanes;
        line = group / tiles;
        along = (group - line * tiles) * lanes + lane;
        line *= LINES;
        distance = 1u;
    }
    if (along >= s_order || line >= lines)
        return;
    uvec4 place = min(line + distance * uvec4(0u, 1u, 2u, 3u), uvec4(lines - 1u)) * line_stride;
    vec4 sum = vec4(0.0);
    [[dont_unroll]] for (uint s = 0u; s < SEGMENTS; ++s) {
        uvec4 run = transposed ? row_segment(along, s) : column_segment(along, s);
        for (uint r0 = 0u; r0 < run.y; r0 += 64u) {
            vec4 part = vec4(0.0);
            uint r1 = min(r0 + 64u, run.y);
            for (uint r = r0; r < r1; ++r) {
                float factor = load(k, run.z + r * run.w, DTYPE_A);
                factor = squared ? factor * factor : factor;
                uvec4 at = place + (run.x + r) * along_stride;
                part += factor * vec4(x.v[at.x], x.v[at.y], x.v[at.z], x.v[at.w]);
            }
            sum += part;
        }
    }
    // Lines beyond the last one are copies of it.
    uvec4 to = place + along * along_stride;
    y.v[to.x] = sum.x;
    if (line + distance < lines)
        y.v[to.y] = sum.y;
    if (line + 2u * distance < lines)
        y.v[to.z] = sum.z;
    if (line + 3u * distance < lines)
        y.v[to.w] = sum.w;
}
