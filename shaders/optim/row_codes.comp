// SPDX-License-Identifier: MIT
// Rows of matrices in 4 or 8 bits an element, all matrices in one dispatch:
//
//   e = the least element of a row      s = (the largest - e) / (2^bits - 1)      code = floor((x - e) / s + 1/2)
//
// A workgroup a row, which it reads twice. All in halves: the difference of two numbers may exceed the largest.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/subspace.h"

#define JOB RowCodesJob
#include "core/kernel.glsl"

shared vec2 scratch[gl_WorkGroupSize.x];

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint row = group - p.jobs.job[j].first_group;
    F32 from = p.jobs.job[j].from;
    U32 codes = p.jobs.job[j].codes;
    uint cols = p.jobs.job[j].cols;
    uint words = p.jobs.job[j].words;
    uint bits = p.jobs.job[j].bits;
    uint first = row * cols;
    uint last = first + cols - 1u; // no load goes beyond it, also where a driver runs a loop once too often
    uint t = gl_LocalInvocationID.x;

    float x = from.v[first];
    vec2 ends = vec2(x, -x); // the least element, and minus the largest
    for (uint c = t; c < cols; c += gl_WorkGroupSize.x) {
        x = from.v[min(first + c, last)];
        ends = min(ends, vec2(x, -x));
    }
    scratch[t] = ends;
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) {
        if (t < half_size)
            scratch[t] = min(scratch[t], scratch[t + half_size]);
        barrier();
    }
    ends = scratch[0];
    float largest_code = float((1u << bits) - 1u);
    float least = 0.5 * ends.x;
    float span = -0.5 * ends.y - least;
    float half_step = span / largest_code;
    bool constant = half_step < 1.17549435e-38; // or nearly: such a step divides nothing
    half_step = constant ? 0.0 : half_step;
    float inverse = constant ? 0.0 : largest_code / span;
    if (t == 0u) {
        F32 ranges = p.jobs.job[j].ranges;
        ranges.v[2u * row] = ends.x;
        ranges.v[2u * row + 1u] = 2.0 * half_step;
    }
    uint per_word = 32u / bits;
    for (uint w = t; w < words; w += gl_WorkGroupSize.x) {
        uint word = 0u;
        for (uint k = 0u; k < per_word; ++k) {
            uint c = w * per_word + k;
            x = from.v[min(first + c, last)];
            float code = clamp(floor((0.5 * x - least) * inverse + 0.5), 0.0, largest_code);
            word |= c < cols ? uint(code) << (k * bits) : 0u;
        }
        codes.v[row * words + w] = word;
    }
}
