// SPDX-License-Identifier: MIT
// The loop of kernels whose moments have 8 bits an element (heron/optim/moments.hpp). Blocks of 256 neighbouring
// elements share a scale, the largest of them. |m| is one of the levels (k / 127)^2 of it, with a sign; v is one of
// (k / 255)^4 of the square of the root's scale. Each is rounded at random to one of the two levels around it, so that
// its expectation is what it was; v above 0 stays above 0. A step is of the moments before they are rounded. One
// workgroup a block.
//
// The includer has defined MOMENT_BLOCK8 before its job's header, included optim/parameter.glsl, and enables
// GL_EXT_control_flow_attributes. FIRST_MOMENT, and SECOND_MOMENT where there is v, are the job's members; further:
//
//   void begin_step(uint j)                                              reads the job, once for all elements
//   vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v)    elements i .. i + valid - 1; returns anything
//   void take_step(uint i, uint valid, vec4 m, vec4 update)              m after the former, and what that returned
#ifndef HERON_OPTIM_MOMENT_BLOCK8_GLSL
#define HERON_OPTIM_MOMENT_BLOCK8_GLSL

#define PHILOX_COMPACT
#include "linalg/philox.glsl"

const uint MOMENT_WORDS = MOMENT_BLOCK / 4u;

void begin_step(uint j);
vec4 next_moments(uint i, uint valid, inout vec4 m, inout vec4 v);
void take_step(uint i, uint valid, vec4 m, vec4 update);

shared vec2 block_scratch[gl_WorkGroupSize.x];

// The largest of all invocations, in every one of them.
vec2 workgroup_max(vec2 x) {
    uint t = gl_LocalInvocationID.x;
    block_scratch[t] = x;
    barrier();
    [[dont_unroll]] for (uint half_size = gl_WorkGroupSize.x / 2u; half_size > 0u; half_size /= 2u) {
        if (t < half_size)
            block_scratch[t] = max(block_scratch[t], block_scratch[t + half_size]);
        barrier();
    }
    return block_scratch[0];
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
    begin_step(j);
    U32 codes1 = p.jobs.job[j].FIRST_MOMENT.codes;
    F32 scales1 = p.jobs.job[j].FIRST_MOMENT.scales;
    uint parameter = p.jobs.job[j].FIRST_MOMENT.parameter;
    float old1 = scales1.v[block];
#ifdef SECOND_MOMENT
    U32 codes2 = p.jobs.job[j].SECOND_MOMENT.codes;
    F32 scales2 = p.jobs.job[j].SECOND_MOMENT.scales;
    float old2 = scales2.v[block];
#endif
    uint count = p.jobs.job[j].range.count;
    uint first = p.jobs.job[j].range.first; // of random numbers

    // Twice the same moments: for the scales, then for all else.
    vec2 most = vec2(0.0);
    vec2 inverse = vec2(0.0);
    [[dont_unroll]] for (uint pass = 0u; pass < 2u; ++pass) {
        [[dont_unroll]] for (uint word = gl_LocalInvocationID.x; word < MOMENT_WORDS; word += gl_WorkGroupSize.x) {
            uint i = MOMENT_BLOCK * block + 4u * word;
            if (i >= count)
                break;
            uint valid = min(4u, count - i);
            uint at = MOMENT_WORDS * block + word;
            vec4 q = (bytes_of(codes1.v[at]) - 127.0) * (1.0 / 127.0);
            vec4 m = keep_valid(q * abs(q) * old1, valid);
            vec4 v = vec4(0.0);
#ifdef SECOND_MOMENT
            q = bytes_of(codes2.v[at]) * (1.0 / 255.0);
            vec4 root = keep_valid(q * q * old2, valid);
            v = root * root;
#endif
            vec4 update = next_moments(i, valid, m, v);
            vec2 sizes = vec2(largest(abs(m)), 0.0);
#ifdef SECOND_MOMENT
            root = safe_sqrt(v);
            sizes.y = largest(root);
#endif
            if (pass == 0u) {
                most = max(most, sizes);
                continue;
            }

            uvec4 counter = uvec4(first + i, p.control.c.step, parameter, MOMENT_STREAM);
            uvec4 draws = philox(counter, uvec2(p.control.c.seed, 0u));
            vec4 x = min(abs(m) * inverse.x, 1.0);
            vec4 k = min(floor(127.0 * safe_sqrt(x)), 126.0);
            k += drawn(x * 16129.0 - k * k, 2.0 * k + 1.0, draws);
            codes1.v[at] = word_of(127.0 + sign(m) * k);
#ifdef SECOND_MOMENT
            x = min(root * inverse.y, 1.0);
            k = min(floor(255.0 * safe_sqrt(x)), 254.0);
            vec4 low = k * k, high = (k + 1.0) * (k + 1.0), level = x * 65025.0;
            k += drawn((level - low) * (level + low), (high - low) * (high + low), draws >> 16);
            vec4 least = mix(vec4(0.0), vec4(1.0), greaterThan(root, vec4(0.0)));
            codes2.v[at] = word_of(max(k, least));
#endif
            take_step(i, valid, m, update);
        }
        if (pass == 0u) {
            most = workgroup_max(most);
            inverse = vec2(inverse_of(most.x), inverse_of(most.y));
        }
    }
    if (gl_LocalInvocationID.x == 0u) {
        scales1.v[block] = most.x;
#ifdef SECOND_MOMENT
        scales2.v[block] = most.y;
#endif
    }
}

#endif
