// SPDX-License-Identifier: MIT
// Between the products of a power iteration: value = v^T w / v^T v, v <- w / |w| with w = A v; and its start
// (PowerIterationJob), which leaves v with a norm of at most 1: A v is finite where A's eigenvalues are.
// One workgroup a matrix.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/power_iteration.h"
#include "linalg/status.h"
#define JOB PowerIterationJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_POWER) const uint POWER = POWER_STEP;

// In [-1, 1), the same for an index always (the finalizer of MurmurHash3).
float pseudo_random(uint i) {
    i = (i + 1u) * 0x9e3779b9u;
    i = (i ^ (i >> 16)) * 0x85ebca6bu;
    i = (i ^ (i >> 13)) * 0xc2b2ae35u;
    i ^= i >> 16;
    return float(int(i)) * 4.6566129e-10;
}

// 1 / the norm of `order` pseudo-random numbers, nearly; that of few may be ROOT_3 times as long.
float random_scale(uint order) { return sqrt(3.0 / float(order)); }
const float ROOT_3 = 1.7320508;

// x / norm where the norm is too small to divide by, or to be divided from one.
float normalized(float x, float norm) {
    float factor = norm < 1e-18 ? 1.0995116e12 : norm > 1e18 ? 9.0949470e-13 : 1.0; // 2^40, 2^-40
    return (x * factor) / (norm * factor);
}

void main() {
    if (nothing_to_do())
        return;
    uint item = workgroup_index();
    uint j = find_job(item);
    item -= p.jobs.job[j].first_group;
    F32 v = p.jobs.job[j].v;
    F32 w = p.jobs.job[j].w;
    F32 value = p.jobs.job[j].value;
    uint order = p.jobs.job[j].order;
    float mix_in = p.jobs.job[j].mix;
    uint at = item * order;
    uint lane = gl_LocalInvocationID.x;

    vec3 squares = vec3(0.0);
    for (uint i = lane; i < order; i += gl_WorkGroupSize.x) {
        uint from = at + min(i, order - 1u);
        blue_add(squares, POWER == POWER_START ? v.v[from] : w.v[from]);
    }
    float norm = blue_norm(workgroup_sum(squares));
    float rayleigh = 0.0, length = 1.0;
    if (POWER == POWER_STEP) {
        // Of w in units of a power of two near its norm: products of single elements would leave f32's range.
        uint exponent = clamp(floatBitsToUint(norm) >> 23, 2u, 252u);
        vec3 product = vec3(0.0);
        for (uint i = lane; i < order; i += gl_WorkGroupSize.x) {
            uint from = at + min(i, order - 1u);
            float vi = v.v[from];
            precise float wi = w.v[from] * uintBitsToFloat((254u - exponent) << 23);
            product.x += vi * wi;
            product.y += vi * vi;
        }
        product = workgroup_sum(product);
        precise float quotient = product.x / product.y;
        rayleigh = quotient * uintBitsToFloat(exponent << 23);
        length = sqrt(product.y);
    }
    bool finite = !is_nonfinite(norm) && !is_nonfinite(rayleigh);
    // A v = 0: v keeps its direction, since 0 is its eigenvalue. A start that cannot be used becomes pseudo-random.
    bool anew = !finite || (POWER == POWER_START && norm == 0.0);
    for (uint i = lane; i < order; i += gl_WorkGroupSize.x) {
        uint to = at + i;
        float random = pseudo_random(i) * random_scale(order);
        if (anew)
            v.v[to] = random * (1.0 / ROOT_3);
        else if (POWER == POWER_START)
            v.v[to] = (normalized(v.v[to], norm) + mix_in * random) / (1.0 + ROOT_3 * mix_in);
        else
            v.v[to] = norm > 0.0 ? normalized(w.v[to], norm) : v.v[to] / length;
    }
    if (lane == 0u && POWER == POWER_STEP) {
        value.v[item] = finite ? rayleigh : 0.0;
        if (p.jobs.job[j].has_status != 0u) {
            U32 status = p.jobs.job[j].status;
            status.v[item] = finite ? STATUS_OK : STATUS_NONFINITE;
        }
    }
}
