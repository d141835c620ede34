// SPDX-License-Identifier: MIT
// Sherman-Morrison, one of three steps for many matrices:
//
//   product   y = P u            a workgroup has THREADS / lanes rows; sums of 64, then halving over the lanes
//   factor    q = u^T y, f = beta / (gamma + beta q)                          a workgroup an item
//   update    P <- (P - f y y^T) / gamma                                      PER_THREAD elements an invocation
//
// As a product of two numbers sqrt(|f|) y_i, which is rounded alone: P stays symmetric, and what is no larger than P
// does not overflow.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/update.h"
#include "linalg/status.h"
#define JOB RankOneJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_RANK_ONE) const uint STEP = RANK_ONE_PRODUCT;
layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32; // of u
layout(constant_id = SPEC_PER_THREAD) const uint PER_THREAD = 4;

shared float row_sums[gl_WorkGroupSize.x];

float word(U32 x, uint i) { return uintBitsToFloat(x.v[i]); }

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    group -= p.jobs.job[j].first_group;
    U32 P = p.jobs.job[j].p;
    U32 u = p.jobs.job[j].u;
    U32 y = p.jobs.job[j].y;
    U32 factor = p.jobs.job[j].factor;
    uint n = p.jobs.job[j].n;
    uint p_row = p.jobs.job[j].p_row;
    uint groups = p.jobs.job[j].groups;
    uint item = group / groups;
    group -= item * groups;
    uint begin = item * p.jobs.job[j].p_item;
    uint u_begin = item * p.jobs.job[j].u_item;
    uint t = gl_LocalInvocationID.x;

    if (STEP == RANK_ONE_PRODUCT) {
        uint lanes = p.jobs.job[j].lanes;
        uint lane = t % lanes;
        uint row = group * (gl_WorkGroupSize.x / lanes) + t / lanes;
        float sum = 0.0;
        if (row < n) {
            for (uint c0 = lane; c0 < n; c0 += 64u * lanes) {
                float part = 0.0;
                uint c1 = min(n, c0 + 64u * lanes);
                for (uint c = c0; c < c1; c += lanes) {
                    uint at = min(c, n - 1u);
                    part += word(P, begin + row * p_row + at) * load(u, u_begin + at, DTYPE_A);
                }
                sum += part;
            }
        }
        row_sums[t] = sum;
        barrier();
        for (uint half_size = lanes / 2u; half_size > 0u; half_size /= 2u) {
            if (lane < half_size)
                row_sums[t] += row_sums[t + half_size];
            barrier();
        }
        if (lane == 0u && row < n)
            y.v[item * n + row] = floatBitsToUint(row_sums[t]);
        return;
    }

    if (STEP == RANK_ONE_FACTOR) {
        float sum = 0.0;
        for (uint i = t; i < n; i += gl_WorkGroupSize.x)
            sum += word(y, item * n + i) * load(u, u_begin + i, DTYPE_A);
        float q = workgroup_sum(vec3(sum, 0.0, 0.0)).x;
        if (t != 0u)
            return;
        float gamma = p.jobs.job[j].gamma;
        float beta = p.jobs.job[j].beta;
        float divisor = gamma + beta * q;
        float f = beta / divisor;
        uint status = STATUS_OK;
        if (is_nonfinite(q) || is_nonfinite(divisor))
            status = STATUS_NONFINITE;
        else if (q < 0.0 || divisor <= 0.0)
            status = STATUS_INDEFINITE;
        else if (is_nonfinite(f))
            status = STATUS_NONFINITE;
        bool ok = status == STATUS_OK;
        factor.v[2u * item] = floatBitsToUint(ok ? f : 0.0);
        factor.v[2u * item + 1u] = ok ? 1u : 0u;
        if ((p.jobs.job[j].flags & UPDATE_STATUS) != 0u) {
            U32 statuses = p.jobs.job[j].status;
            statuses.v[item] = status;
        }
        return;
    }

    if (factor.v[2u * item + 1u] == 0u)
        return;
    float f = word(factor, 2u * item);
    float root = f == 0.0 ? 0.0 : sqrt(abs(f)); // sqrt may be computed as x * inversesqrt(x)
    float scale = 1.0 / p.jobs.job[j].gamma;
    uint first = group * (gl_WorkGroupSize.x * PER_THREAD) + t;
    for (uint r = 0; r < PER_THREAD; ++r) {
        uint e = first + r * gl_WorkGroupSize.x;
        if (e >= n * n)
            break;
        uint row = e / n;
        uint col = e - row * n;
        precise float product = (root * word(y, item * n + row)) * (root * word(y, item * n + col));
        precise float value = word(P, begin + row * p_row + col) - (f < 0.0 ? -product : product);
        P.v[begin + row * p_row + col] = floatBitsToUint(scale * value);
    }
}
