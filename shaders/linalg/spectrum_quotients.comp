// SPDX-License-Identifier: MIT
// Rayleigh quotients v_c^T X v_c / v_c^T v_c of columns that are orthonormal to rounding (SpectrumQuotientsJob), one
// workgroup a column.
//
// For an eigenvalue far below the largest one everything cancels: in single floats it is off by roundings of the
// largest, of which it has few digits left. So products and sums are pairs of floats here (Dekker 1971; Ogita, Rump and
// Oishi 2005), and what remains is the square of what the columns are off by. A lane has every so many-th row of X;
// sums of lanes form a tree.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "linalg/spectrum.h"
#define JOB SpectrumQuotientsJob
#include "core/kernel.glsl"

shared vec4 partials[gl_WorkGroupSize.x]; // v^T X v and v^T v, pairs

// a + b, and what rounding took of it.
vec2 two_sum(float a, float b) {
    precise float sum = a + b;
    precise float part = sum - a;
    precise float error = (a - (sum - part)) + (b - part);
    return vec2(sum, error);
}

// Its upper 12 bits, and the rest.
vec2 halves(float a) {
    precise float scaled = 4097.0 * a;
    precise float upper = scaled - (scaled - a);
    precise float lower = a - upper;
    return vec2(upper, lower);
}

// a b, and what rounding took of it.
vec2 two_product(float a, float b) {
    vec2 x = halves(a);
    vec2 y = halves(b);
    precise float product = a * b;
    precise float error = ((x.x * y.x - product) + x.x * y.y + x.y * y.x) + x.y * y.y;
    return vec2(product, error);
}

vec2 add(vec2 total, vec2 term) {
    vec2 sum = two_sum(total.x, term.x);
    precise float rest = total.y + (sum.y + term.y);
    return vec2(sum.x, rest);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    F32 x = p.jobs.job[j].x;
    F32 v = p.jobs.job[j].v;
    F32 d = p.jobs.job[j].d;
    uint order = p.jobs.job[j].order;
    uint item = group / order;
    uint col = group - item * order;
    uint lane = gl_LocalInvocationID.x;
    uint first = item * order * order;
    vec2 total = vec2(0.0);
    vec2 square = vec2(0.0);
    for (uint r = lane; r < order; r += gl_WorkGroupSize.x) {
        vec2 y = vec2(0.0);
        for (uint k = 0u; k < order; ++k)
            y = add(y, two_product(x.v[first + r * order + k], v.v[first + k * order + col]));
        float vr = v.v[first + r * order + col];
        vec2 product = two_product(vr, y.x);
        precise float rest = product.y + vr * y.y;
        total = add(total, vec2(product.x, rest));
        square = add(square, two_product(vr, vr));
    }
    partials[lane] = vec4(total, square);
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) {
        if (lane < half_size) {
            vec4 other = partials[lane + half_size];
            partials[lane] = vec4(add(partials[lane].xy, other.xy), add(partials[lane].zw, other.zw));
        }
        barrier();
    }
    if (lane == 0u) {
        // Over v^T v, which is 1 to rounding; a division would not be exact where it is 1.
        precise float excess = (partials[0].z - 1.0) + partials[0].w;
        precise float rest = partials[0].y - partials[0].x * excess;
        d.v[item * order + col] = partials[0].x + rest;
    }
}
