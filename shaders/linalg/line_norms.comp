// SPDX-License-Identifier: MIT
// Norms of all rows, or all columns, of matrices; many tensors in one dispatch.
//
// A workgroup takes THREADS / lanes lines and 512 lanes elements of each, `lanes` invocations a line. Fixed tree: eight
// interleaved sums an invocation, closed every 128 elements, then halving over the lanes. Longer lines leave partial
// results (three words), which a second pass takes as elements.
//
// A state is three words: bits of a sum; of Blue's accumulators (core/reduce.glsl); or a maximum of magnitudes as
// integers, in which NaN is larger than infinity. With NORM_POWER a sum of (|x| / M)^p, M the line's maximum from a
// dispatch before, so that no exponent makes it overflow, and the norm M sum^(1/p).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "linalg/norms.h"
#define JOB LineNormsJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_NORM) const uint KIND = NORM_TWO;
layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

const uint PER_LANE = 512;
const uint BLOCK = 128;

shared uvec3 scratch[gl_WorkGroupSize.x];

uvec3 combine(uvec3 a, uvec3 b) {
    if (KIND == NORM_INFINITY)
        return max(a, b);
    return floatBitsToUint(uintBitsToFloat(a) + uintBitsToFloat(b));
}

// Not pow(), which some drivers have as NaN for 0.
float to_the_power(float x, float exponent) { return x > 0.0 ? exp2(exponent * log2(x)) : 0.0; }

uvec3 with_element(uvec3 state, float x, float maximum, float exponent) {
    if (KIND == NORM_INFINITY)
        return uvec3(max(state.x, floatBitsToUint(x) & 0x7fffffffu), 0u, 0u);
    vec3 sums = uintBitsToFloat(state);
    if (KIND == NORM_TWO)
        blue_add_unrolled(sums, x);
    else if (KIND == NORM_POWER)
        sums.x += to_the_power(quotient(abs(x), maximum), exponent);
    else
        sums.x += KIND == NORM_SQUARED ? x * x : abs(x);
    return floatBitsToUint(sums);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 from = p.jobs.job[j].from;
    U32 to = p.jobs.job[j].to;
    U32 maxima = p.jobs.job[j].maxima;
    uint lines = p.jobs.job[j].lines;
    uint extent = p.jobs.job[j].extent;
    uint line_stride = p.jobs.job[j].line_stride;
    uint element_stride = p.jobs.job[j].element_stride;
    uint lanes = p.jobs.job[j].lanes;
    uint line_groups = p.jobs.job[j].line_groups;
    uint chunks = p.jobs.job[j].chunks;
    bool partial = p.jobs.job[j].partial != 0u;
    float exponent = p.jobs.job[j].exponent;

    uint chunk = group % chunks;
    uint line_group = group / chunks % line_groups;
    uint item = group / chunks / line_groups;
    uint t = gl_LocalInvocationID.x;
    uint across = gl_WorkGroupSize.x / lanes;
    // Neighbours load neighbouring elements. `slot` orders the lanes of a line side by side.
    bool along = element_stride == 1u;
    uint lane = along ? t % lanes : t / across;
    uint line = line_group * across + (along ? t / lanes : t % across);
    uint slot = (along ? t / lanes : t % across) * lanes + lane;

    uvec3 state = uvec3(0u);
    float maximum = 1.0;
    if (line < lines) {
        if (KIND == NORM_POWER)
            maximum = uintBitsToFloat(maxima.v[item * lines + line]);
        uint begin = item * p.jobs.job[j].item_stride + line * line_stride;
        uint first = chunk * (PER_LANE * lanes) + lane;
        for (uint r0 = 0; r0 < PER_LANE && first + r0 * lanes < extent; r0 += BLOCK) {
            uvec3 sums[8];
            [[unroll]] for (uint q = 0; q < 8; ++q)
                sums[q] = uvec3(0u);
            for (uint r = r0; r < r0 + BLOCK && first + r * lanes < extent; r += 8) {
                [[unroll]] for (uint q = 0; q < 8; ++q) {
                    uint i = first + (r + q) * lanes;
                    uint at = begin + min(i, extent - 1u) * element_stride;
                    if (i < extent) {
                        if (partial)
                            sums[q] = combine(sums[q], uvec3(from.v[3u * at], from.v[3u * at + 1u], from.v[3u * at + 2u]));
                        else
                            sums[q] = with_element(sums[q], load(from, at, DTYPE_A), maximum, exponent);
                    }
                }
            }
            [[unroll]] for (uint q = 4; q > 0; q /= 2)
                [[unroll]] for (uint r = 0; r < q; ++r)
                    sums[r] = combine(sums[r], sums[r + q]);
            state = combine(state, sums[0]);
        }
    }
    scratch[slot] = state;
    barrier();
    for (uint half_size = lanes / 2u; half_size > 0u; half_size /= 2u) {
        if (lane < half_size)
            scratch[slot] = combine(scratch[slot], scratch[slot + half_size]);
        barrier();
    }
    if (lane != 0u || line >= lines)
        return;
    state = scratch[slot];
    uint result = item * lines + line;
    if (chunks > 1u) {
        uint at = 3u * (result * chunks + chunk);
        to.v[at] = state.x;
        to.v[at + 1u] = state.y;
        to.v[at + 2u] = state.z;
    } else if (KIND == NORM_POWER) {
        // Of a line of zeros, and of one that is not finite, the maximum is the norm.
        bool is_the_norm = maximum == 0.0 || (floatBitsToUint(maximum) & 0x7f800000u) == 0x7f800000u;
        float root = to_the_power(uintBitsToFloat(state.x), 1.0 / exponent);
        to.v[result] = floatBitsToUint(is_the_norm ? maximum : maximum * root);
    } else {
        to.v[result] = KIND == NORM_TWO ? floatBitsToUint(blue_norm(uintBitsToFloat(state))) : state.x;
    }
}
