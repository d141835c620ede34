// SPDX-License-Identifier: MIT
// Sum, Frobenius norm, or number of non-finite elements, of each item of a batch; many tensors in one dispatch.
//
// A workgroup reduces THREADS * PER_THREAD elements of one item in a fixed tree: eight interleaved sums an invocation,
// closed every 128 elements, then halving over the workgroup. It writes a partial result (three words), or the final
// one where an item has a single workgroup.
//
// A state is a vec3: the sum in x; Blue's accumulators (core/reduce.glsl); or a count as x + 4096 y, exact in floats.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define REDUCE_WORKGROUP
#include "linalg/reduce.h"
#define JOB ReduceJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_REDUCTION) const uint REDUCTION = REDUCE_SUM;
layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 16; // a multiple of 8

// On bits, in the element's own type: a conversion might not keep a NaN.
bool is_nonfinite_element(U32 x, uint i) {
    if (DTYPE_A == DTYPE_F32)
        return (x.v[i] & 0x7f800000u) == 0x7f800000u;
    uint exponent = DTYPE_A == DTYPE_F16 ? 0x7c00u : 0x7f80u;
    return ((x.v[i >> 1] >> ((i & 1u) << 4)) & exponent) == exponent;
}

void add_element(inout vec3 state, U32 x, uint i) {
    if (REDUCTION == REDUCE_SUM)
        state.x += load(x, i, DTYPE_A);
    else if (REDUCTION == REDUCE_NORM)
        blue_add_unrolled(state, load(x, i, DTYPE_A));
    else
        state.x += is_nonfinite_element(x, i) ? 1.0 : 0.0;
}

int norm_exponent(vec3 state) {
    vec2 scaled = blue_scaled(state);
    if (scaled.y == 0.0 || is_nonfinite(scaled.y))
        return 0;
    int square = int(floatBitsToUint(scaled.y) >> 23) - 127;
    return int(floatBitsToUint(scaled.x) >> 23) - 127 + (square >> 1);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 from = p.jobs.job[j].from;
    U32 to = p.jobs.job[j].to;
    uint count = p.jobs.job[j].count;
    uint cols = p.jobs.job[j].cols;
    uint stride = p.jobs.job[j].stride;
    uint chunks = p.jobs.job[j].chunks;
    bool partial = (p.jobs.job[j].flags & REDUCE_PARTIAL) != 0;
    bool strided = (p.jobs.job[j].flags & REDUCE_STRIDED) != 0;
    uint item = group / chunks;
    uint chunk = group - item * chunks;
    uint begin = item * p.jobs.job[j].item_stride;
    const uint THREADS = gl_WorkGroupSize.x;
    const uint CHUNK = THREADS * PER_THREAD;
    const uint BLOCK = 128;

    uint first = chunk * CHUNK + gl_LocalInvocationID.x;
    vec3 state = vec3(0.0);
    for (uint r0 = 0; r0 < PER_THREAD; r0 += BLOCK) {
        vec3 sums[8];
        [[unroll]] for (uint q = 0; q < 8; ++q)
            sums[q] = vec3(0.0);
        uint r1 = min(r0 + BLOCK, PER_THREAD);
        [[dont_unroll]] for (uint r = r0; r < r1; r += 8) { // eight loads in flight do, and are little code
            [[unroll]] for (uint q = 0; q < 8; ++q) {
                uint i = first + (r + q) * THREADS;
                if (i < count) {
                    if (partial) {
                        uint at = (begin + i) * 3;
                        sums[q] += vec3(uintBitsToFloat(from.v[at]), uintBitsToFloat(from.v[at + 1]),
                                        uintBitsToFloat(from.v[at + 2]));
                    } else {
                        uint at = strided ? i / cols * stride + i % cols : i;
                        add_element(sums[q], from, begin + at);
                    }
                }
            }
        }
        state += ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    }
    state = workgroup_sum(state);
    if (REDUCTION == REDUCE_NONFINITE) {
        float carry = floor(state.x * (1.0 / 4096.0));
        state.x -= carry * 4096.0;
        state.y += carry;
    }

    if (gl_LocalInvocationID.x != 0)
        return;
    if (chunks > 1) {
        uint at = (item * chunks + chunk) * 3;
        to.v[at] = floatBitsToUint(state.x);
        to.v[at + 1] = floatBitsToUint(state.y);
        to.v[at + 2] = floatBitsToUint(state.z);
    } else if (REDUCTION == REDUCE_SUM) {
        to.v[item] = floatBitsToUint(state.x);
    } else if (REDUCTION == REDUCE_NORM) {
        bool exponent = (p.jobs.job[j].flags & REDUCE_EXPONENT) != 0;
        to.v[item] = exponent ? uint(norm_exponent(state)) : floatBitsToUint(blue_norm(state));
    } else {
        to.v[item] = uint(state.y) * 4096u + uint(state.x);
    }
}
