// SPDX-License-Identifier: MIT
// Adam's direction of gradients in another basis with moments in 8 bits an element, all matrices in one dispatch:
//
//   m <- m + r1 (a - m)      v <- v + r2 (a^2 - v)      D = (m s) / (sqrt(v) + eps)        s: see adamw.comp
//
// Blocks of 256 neighbouring elements share a scale. m is sign(q) q^2 of the block's largest |m|, q = (code - 127) /
// 127; sqrt(v) is q^2 of the block's largest, q = code / 255, and not 0 where v is not. D is of the moments before they
// are rounded. One workgroup a block.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/low_rank.h"

#define JOB LowRankAdam8Job
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"

const uint WORDS = LOW_RANK_BLOCK / 4u;

shared vec2 scratch[gl_WorkGroupSize.x];

// The largest of all invocations, in every one of them.
vec2 workgroup_max(vec2 x) {
    uint t = gl_LocalInvocationID.x;
    scratch[t] = x;
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) {
        if (t < half_size)
            scratch[t] = max(scratch[t], scratch[t + half_size]);
        barrier();
    }
    return scratch[0];
}

float largest(vec4 x) { return max(max(x.x, x.y), max(x.z, x.w)); }

vec4 bytes_of(uint word) { return vec4((uvec4(word) >> uvec4(0u, 8u, 16u, 24u)) & 255u); }
uint word_of(vec4 codes) {
    uvec4 c = uvec4(codes);
    return c.x | c.y << 8 | c.z << 16 | c.w << 24;
}

float inverse_of(float x) { return x >= 1.17549435e-38 ? 1.0 / max(x, 1.17549435e-38) : 0.0; }

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint block = group - p.jobs.job[j].first_group;
    F32x4 gradient = p.jobs.job[j].gradient;
    F32x4 result = p.jobs.job[j].direction;
    U32 codes1 = p.jobs.job[j].codes1;
    U32 codes2 = p.jobs.job[j].codes2;
    F32 scales1 = p.jobs.job[j].scales1;
    F32 scales2 = p.jobs.job[j].scales2;
    AdamWHyperRef hyper = p.jobs.job[j].hyper;
    AdamWHyper h = hyper.h;
    uint count = p.jobs.job[j].range.count;
    float old1 = scales1.v[block];
    float old2 = scales2.v[block];

    // Twice the same: the largest, then codes.
    vec2 most = vec2(0.0);
    float inverse1 = 0.0, inverse2 = 0.0;
    for (uint pass = 0u; pass < 2u; ++pass) {
        for (uint w = gl_LocalInvocationID.x; w < WORDS; w += gl_WorkGroupSize.x) {
            uint i = LOW_RANK_BLOCK * block + 4u * w;
            uint valid = i < count ? min(4u, count - i) : 0u;
            uint at = min(i, (count - 1u) & ~3u);
            vec4 a = clamp(load_state(gradient, at, max(valid, 1u)), -LARGEST_GRADIENT, LARGEST_GRADIENT);
            a = keep_valid(a, valid);
            vec4 q1 = (bytes_of(codes1.v[WORDS * block + w]) - 127.0) * (1.0 / 127.0);
            vec4 q2 = bytes_of(codes2.v[WORDS * block + w]) * (1.0 / 255.0);
            vec4 root = q2 * q2 * old2;
            vec4 m = q1 * abs(q1) * old1;
            vec4 v = root * root;
            m = m + h.rate1 * (a - m);
            v = v + h.rate2 * (a * a - v);
            root = safe_sqrt(v);
            if (pass == 0u) {
                most = max(most, vec2(largest(abs(m)), largest(root)));
                continue;
            }
            vec4 denominator = root + h.eps;
            bvec4 defined = greaterThan(denominator, vec4(0.0));
            vec4 direction = mix(vec4(0.0), (m * h.moment_scale) / mix(vec4(1.0), denominator, defined), defined);
            if (valid > 0u)
                store_state(result, at, valid, clamp_finite(direction, DTYPE_F32));
            vec4 x1 = sign(m) * safe_sqrt(min(abs(m) * inverse1, 1.0));
            vec4 x2 = safe_sqrt(min(root * inverse2, 1.0));
            codes1.v[WORDS * block + w] = word_of(floor(127.0 * x1 + 127.5));
            codes2.v[WORDS * block + w] =
                word_of(max(floor(255.0 * x2 + 0.5), mix(vec4(0.0), vec4(1.0), greaterThan(root, vec4(0.0)))));
        }
        if (pass == 0u) {
            most = workgroup_max(most);
            inverse1 = inverse_of(most.x);
            inverse2 = inverse_of(most.y);
        }
    }
    if (gl_LocalInvocationID.x == 0u) {
        scales1.v[block] = most.x;
        scales2.v[block] = most.y;
    }
}
