// SPDX-License-Identifier: MIT
// Between the products of Newton's iteration for inverse fourth roots, all factors in one dispatch (products:
// X_k = X_(k-1) T_(k-1), M_k = T_(k-1)^4 M_(k-1)). Iteration 0: z = 2.5 / |A|_F,
//
//   M_0 = z A,   X_0 = z^(1/4) I;   every one:   e_k = max |M_k - I|,   T_k = (5 I - M_k) / 4
//
// X_k is the result where it was computed from one that was not good enough (e_(k-1) > 1e-6) and e_k <= 1.2 e_(k-1);
// after the first that is not, nothing is. Which that is shows an iteration later, when e_k is complete: iteration k
// takes X_(k-1). A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/shampoo4bit.h"
#include "linalg/status.h"

#define JOB Shampoo4BitNewtonJob
#include "core/kernel.glsl"
#include "core/math.glsl"

const float TOLERANCE = 1e-6;
const float GROWTH = 1.2;
const uint INFINITE = 0x7f800000u;

shared uint largest_bits; // of floats that are not negative

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    uint order = p.jobs.job[j].order;
    uint iteration = p.jobs.job[j].iteration;
    uint rounds = p.jobs.job[j].rounds;
    F32 a = p.jobs.job[j].a;
    F32 norms = p.jobs.job[j].norm;
    F32 m = p.jobs.job[j].m;
    F32 next = p.jobs.job[j].t;
    F32 x = p.jobs.job[j].x;
    F32 result = p.jobs.job[j].result;
    U32 errors = p.jobs.job[j].errors;
    U32 active_word = p.jobs.job[j].active_word;
    uint t = gl_LocalInvocationID.x;
    bool start = iteration == 0u;
    bool has_m = (p.jobs.job[j].flags & SHAMPOO4BIT_LAST) == 0u;

    // Whether X_(k-1) is to be taken, and whether it is not yet good enough.
    bool takes = iteration > 0u;
    float error = uintBitsToFloat(errors.v[0]);
    for (uint k = 1u; k < iteration; ++k) {
        uint bits = errors.v[k];
        takes = takes && error > TOLERANCE && bits < INFINITE && uintBitsToFloat(bits) <= GROWTH * error;
        error = uintBitsToFloat(bits);
    }
    float norm = start ? norms.v[0] : 1.0;
    bool usable = norm >= 1.17549435e-38 && floatBitsToUint(norm) < INFINITE;
    float diagonal = start && usable ? 1.2574334 * power(min(norm, 8.5070592e37), -0.25, 0.0) : 0.0; // 2.5^(1/4)
    if (group == 0u && t == 0u) {
        active_word.v[0] = start ? 1u : takes && error > TOLERANCE ? 1u : 0u;
        if (start) {
            U32 status = p.jobs.job[j].status;
            status.v[0] = usable ? STATUS_OK : norm < 1.17549435e-38 ? STATUS_SINGULAR : STATUS_NONFINITE;
        }
    }
    if (t == 0u)
        largest_bits = 0u;
    barrier();

    uint mine = 0u;
    uint count = order * order;
    uint first = group * rounds * gl_WorkGroupSize.x + t;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = first + r * gl_WorkGroupSize.x;
        if (i >= count)
            break;
        float one = i % (order + 1u) == 0u ? 1.0 : 0.0;
        if (start) {
            float value = usable ? 2.5 * (a.v[i] / norm) : one;
            m.v[i] = value; // read below by the same invocation
            x.v[i] = diagonal * one;
            result.v[i] = diagonal * one;
        } else if (takes) {
            result.v[i] = x.v[i];
        }
        if (has_m) {
            float value = m.v[i];
            next.v[i] = 1.25 * one - 0.25 * value;
            mine = max(mine, floatBitsToUint(abs(value - one)));
        }
    }
    if (has_m) {
        atomicMax(largest_bits, mine);
        barrier();
        if (t == 0u)
            atomicMax(errors.v[iteration], largest_bits);
    }
}
