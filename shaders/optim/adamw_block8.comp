// SPDX-License-Identifier: MIT
// AdamW with moments in 8 bits an element, all tensors of all groups in one dispatch; the step itself is adamw.comp's.
//
// Blocks of 256 neighbouring elements share a scale, the largest of them. |m| is one of the levels (k / 127)^2 of it,
// with a sign; v is one of (k / 255)^4 of the square of the root's scale. Each is rounded at random to one of the two
// levels around it, so that its expectation is what it was; v above 0 stays above 0. The step is of the moments before
// they are rounded. One workgroup a block.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define PHILOX_COMPACT
#include "optim/adamw.h"

#define JOB AdamWBlock8Job
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "linalg/philox.glsl"
#include "optim/parameter.glsl"
#include "optim/gradient.glsl"
#include "optim/weight.glsl"

const uint WORDS = MOMENT_BLOCK / 4u;

shared vec2 scratch[gl_WorkGroupSize.x];

// The largest of all invocations, in every one of them.
vec2 workgroup_max(vec2 x) {
    uint t = gl_LocalInvocationID.x;
    scratch[t] = x;
    barrier();
    [[dont_unroll]] for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) {
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

// 0 for a scale that is too small to divide by.
float inverse_of(float x) { return x >= 1.17549435e-38 ? 1.0 / max(x, 1.17549435e-38) : 0.0; }

// 1 with a probability of part / whole, which may be a little outside of [0, 1]: the level below is found by a root.
vec4 drawn(vec4 part, vec4 whole, uvec4 bits) {
    return mix(vec4(0.0), vec4(1.0), lessThan(vec4(bits & 0xffffu) * 1.52587891e-5 * whole, part));
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint block = group - p.jobs.job[j].first_group;
    begin_gradient(j);
    begin_weight(j);
    uint flags = p.jobs.job[j].flags;
    U32 codes1 = p.jobs.job[j].codes1;
    U32 codes2 = p.jobs.job[j].codes2;
    F32 scales1 = p.jobs.job[j].scales1;
    F32 scales2 = p.jobs.job[j].scales2;
    AdamWHyperRef hyper = p.jobs.job[j].hyper;
    AdamWHyper h = hyper.h;
    float lr = parameter_lr(j, h.lr);
    float decay = clamp_finite(lr * parameter_decay(j, h.weight_decay));
    uint count = p.jobs.job[j].range.count;
    float old1 = scales1.v[block];
    float old2 = scales2.v[block];

    // Twice the same moments: for the scales, then for all else.
    vec2 most = vec2(0.0);
    float inverse1 = 0.0, inverse2 = 0.0;
    [[dont_unroll]] for (uint pass = 0u; pass < 2u; ++pass) {
        [[dont_unroll]] for (uint word = gl_LocalInvocationID.x; word < WORDS; word += gl_WorkGroupSize.x) {
            uint i = MOMENT_BLOCK * block + 4u * word;
            if (i >= count)
                break;
            uint valid = min(4u, count - i);
            vec4 g = load_gradient(i, valid);
            vec4 q1 = (bytes_of(codes1.v[WORDS * block + word]) - 127.0) * (1.0 / 127.0);
            vec4 q2 = bytes_of(codes2.v[WORDS * block + word]) * (1.0 / 255.0);
            vec4 m = keep_valid(q1 * abs(q1) * old1, valid);
            vec4 root = keep_valid(q2 * q2 * old2, valid);
            vec4 v = root * root;
            m = m + h.rate1 * (g - m);
            v = v + h.rate2 * (g * g - v);
            root = safe_sqrt(v);
            if (pass == 0u) {
                most = max(most, vec2(largest(abs(m)), largest(root)));
                continue;
            }

            uvec4 counter = uvec4(i, p.control.c.step, p.jobs.job[j].index, MOMENT_STREAM);
            uvec4 draws = philox(counter, uvec2(p.control.c.seed, 0u));
            vec4 x = min(abs(m) * inverse1, 1.0);
            vec4 k = min(floor(127.0 * safe_sqrt(x)), 126.0);
            k += drawn(x * 16129.0 - k * k, 2.0 * k + 1.0, draws);
            codes1.v[WORDS * block + word] = word_of(127.0 + sign(m) * k);
            x = min(root * inverse2, 1.0);
            k = min(floor(255.0 * safe_sqrt(x)), 254.0);
            vec4 low = k * k, high = (k + 1.0) * (k + 1.0), at = x * 65025.0;
            k += drawn((at - low) * (at + low), (high - low) * (high + low), draws >> 16);
            vec4 least = mix(vec4(0.0), vec4(1.0), greaterThan(root, vec4(0.0)));
            codes2.v[WORDS * block + word] = word_of(max(k, least));

            vec4 w = load_weight(i, valid);
            vec4 denominator = safe_sqrt(v * h.denominator_scale) + h.eps;
            vec4 numerator = lr * (m * h.moment_scale);
            bvec4 defined = greaterThan(denominator, vec4(0.0));
            vec4 update = mix(vec4(0.0), numerator / mix(vec4(1.0), denominator, defined), defined);
            vec4 kept = vec4(1.0 - decay);
            if ((flags & ADAMW_CAUTIOUS) != 0u)
                kept = mix(vec4(1.0), kept, same_direction(m, w));
            update_weight(i, valid, kept * w, update);
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
