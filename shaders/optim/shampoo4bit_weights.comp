// SPDX-License-Identifier: MIT
// Weights of the eigenvectors in a root, all factors in one dispatch: (max(e, 0) + epsilon max e)^(-1/8), whose square
// is the inverse fourth root. One workgroup a factor.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/shampoo4bit.h"
#include "linalg/status.h"

#define JOB Shampoo4BitWeightsJob
#include "core/kernel.glsl"
#include "core/math.glsl"

shared uint largest_bits; // of a float that is not negative
shared uint nonfinite;

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    uint order = p.jobs.job[j].order;
    float epsilon = p.jobs.job[j].epsilon;
    F32 values = p.jobs.job[j].values;
    F32 weights = p.jobs.job[j].weights;
    uint t = gl_LocalInvocationID.x;
    if (t == 0u) {
        largest_bits = 0u;
        nonfinite = 0u;
    }
    barrier();
    uint mine = 0u;
    bool bad = false;
    for (uint i = t; i < order; i += gl_WorkGroupSize.x) {
        float e = values.v[min(i, order - 1u)];
        bad = bad || (floatBitsToUint(e) & 0x7f800000u) == 0x7f800000u;
        mine = max(mine, floatBitsToUint(max(e, 0.0)));
    }
    atomicMax(largest_bits, mine);
    atomicMax(nonfinite, bad ? 1u : 0u);
    barrier();
    float largest = uintBitsToFloat(largest_bits);
    bool has_root = nonfinite == 0u && largest >= 1.17549435e-38;
    if (t == 0u) {
        U32 status = p.jobs.job[j].status;
        status.v[0] = nonfinite != 0u ? STATUS_NONFINITE : has_root ? STATUS_OK : STATUS_SINGULAR;
    }
    for (uint i = t; i < order; i += gl_WorkGroupSize.x) {
        // Within the range of power(), which ends at 2^126.
        float x = clamp(max(values.v[min(i, order - 1u)], 0.0) + epsilon * largest, 1.17549435e-38, 8.5070592e37);
        weights.v[i] = has_root ? power(x, -0.125, 0.0) : 0.0;
    }
}
