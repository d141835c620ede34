// SPDX-License-Identifier: MIT
// The r x r algebra of a fit, from the Gram matrix of W = [U V dh v/d]; one workgroup an optimizer.
//
//   rho = (tr U^T U / tr V^T V)^(1/4);  E = 0.1 (U^T U / rho^2 - rho^2 V^T V) / (tr U^T U / rho^2 + rho^2 tr V^T V)
//   A = (I - E + E^2 / 2) / rho,  B = rho (I + E + E^2 / 2):  U <- U A, V <- V B, and from here on these
//   S = I + V^T U;  V^T a = S alpha, alpha = V^T d h;  U^T a = U^T d h + U^T U alpha
//   gamma = S^-T U^T v/d = U^T b;  V^T b = V^T v/d - V^T V gamma;  delta = S^-1 V^T b
//
// With LRA_APPLY, for a product with P: alpha = V^T d x, beta = U^T d x + U^T U alpha. Of rank 0 all that is left is
// whether the Gram matrix is finite.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "optim/psgd_lra.h"

#define JOB PsgdLraSmallJob
#include "core/kernel.glsl"
#define REDUCE_WORKGROUP
#include "core/reduce.glsl"
#include "core/math.glsl"

// The kernel's own matrices and vectors.
const uint UU = 2;
const uint VV = 3;
const uint VU = 4; // V^T U, then S
const uint T1 = 5;
const uint T2 = 6;
const uint INVERSE = 7;
const uint SYSTEM = 8;
const uint VEC_UD = 8;
const uint VEC_VA = 9;
const uint VEC_VB = 10;
const uint VEC_UV = 11;

F32 small;
F32 gram;
uint rank;
uint width;
shared uint pivot_row;
shared float pivot;

uint matrix(uint m) { return LRA_SCALARS + LRA_VECTORS * rank + m * rank * rank; }
uint vector(uint k) { return LRA_SCALARS + k * rank; }
float gram_at(uint i, uint j) { return gram.v[i * width + j]; }
void sync() {
    memoryBarrierBuffer();
    barrier();
}

// C = op(X) Y, op(X) = X^T where transposed.
void multiply(uint c, uint x, bool transposed, uint y) {
    for (uint e = gl_LocalInvocationID.x; e < rank * rank; e += gl_WorkGroupSize.x) {
        uint i = e / rank;
        uint j = e - i * rank;
        float sum = 0.0;
        for (uint k = 0u; k < rank; ++k)
            sum += small.v[matrix(x) + (transposed ? k * rank + i : i * rank + k)] * small.v[matrix(y) + k * rank + j];
        small.v[matrix(c) + e] = sum;
    }
    sync();
}

// y = base + factor op(X) x, base 0 or a vector.
void multiply_vector(uint y, uint x_matrix, bool transposed, uint x, bool has_base, uint base, float factor) {
    for (uint i = gl_LocalInvocationID.x; i < rank; i += gl_WorkGroupSize.x) {
        float sum = 0.0;
        for (uint k = 0u; k < rank; ++k)
            sum += small.v[matrix(x_matrix) + (transposed ? k * rank + i : i * rank + k)] * small.v[vector(x) + k];
        small.v[vector(y) + i] = (has_base ? small.v[vector(base) + i] : 0.0) + factor * sum;
    }
    sync();
}

// The products one after the other, as numbers: inlined seventeen times they would be long code.
uint product(uint c, uint x, uint transposed, uint y) { return c | x << 4 | transposed << 8 | y << 9; }
void multiply(uint s) { multiply(s & 15u, s >> 4 & 15u, (s >> 8 & 1u) != 0u, s >> 9); }

// sqrt(x^T X x): |Z x| of X = Z^T Z.
float weighted_norm(uint x_matrix, uint x) {
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < rank; i += gl_WorkGroupSize.x) {
        float row = 0.0;
        for (uint k = 0u; k < rank; ++k)
            row += small.v[matrix(x_matrix) + i * rank + k] * small.v[vector(x) + k];
        sum += row * small.v[vector(x) + i];
    }
    sum = workgroup_sum(vec3(sum, 0.0, 0.0)).x;
    return sum > 0.0 ? sqrt(sum) : sum <= 0.0 ? 0.0 : sum;
}

// SYSTEM -> its inverse in INVERSE, by Gauss and Jordan with pivots of columns.
void invert() {
    for (uint e = gl_LocalInvocationID.x; e < rank * rank; e += gl_WorkGroupSize.x)
        small.v[matrix(INVERSE) + e] = e / rank == e % rank ? 1.0 : 0.0;
    sync();
    for (uint k = 0u; k < rank; ++k) {
        if (gl_LocalInvocationID.x == 0u) {
            pivot_row = k;
            float largest = -1.0;
            for (uint i = k; i < rank; ++i) {
                float x = abs(small.v[matrix(SYSTEM) + i * rank + k]);
                if (x > largest) {
                    largest = x;
                    pivot_row = i;
                }
            }
            pivot = small.v[matrix(SYSTEM) + pivot_row * rank + k];
        }
        barrier();
        uint other = pivot_row;
        float inverse = 1.0 / pivot;
        // Columns of both matrices are the invocations'.
        for (uint c = gl_LocalInvocationID.x; c < 2u * rank; c += gl_WorkGroupSize.x) {
            uint at = c < rank ? matrix(SYSTEM) + c : matrix(INVERSE) + c - rank;
            float x = small.v[at + other * rank];
            small.v[at + other * rank] = small.v[at + k * rank];
            small.v[at + k * rank] = x * inverse;
        }
        sync();
        // The factors of the rows are column k, which is changed last.
        for (uint e = gl_LocalInvocationID.x; e < rank * 2u * rank; e += gl_WorkGroupSize.x) {
            uint i = e / (2u * rank);
            uint c = e - i * 2u * rank;
            if (i == k || c == k)
                continue;
            uint at = c < rank ? matrix(SYSTEM) + c : matrix(INVERSE) + c - rank;
            small.v[at + i * rank] -= small.v[matrix(SYSTEM) + i * rank + k] * small.v[at + k * rank];
        }
        sync();
        for (uint i = gl_LocalInvocationID.x; i < rank; i += gl_WorkGroupSize.x)
            if (i != k)
                small.v[matrix(SYSTEM) + i * rank + k] = 0.0;
        sync();
    }
}

void main() {
    if (nothing_to_do())
        return;
    uint own = find_job(workgroup_index());
    gram = p.jobs.job[own].gram;
    small = p.jobs.job[own].small;
    rank = p.jobs.job[own].rank;
    width = 2u * rank + 2u;
    uint t = gl_LocalInvocationID.x;

    if ((p.jobs.job[own].flags & LRA_APPLY) != 0u) {
        for (uint i = t; i < rank; i += gl_WorkGroupSize.x)
            small.v[vector(LRA_ALPHA) + i] = gram_at(rank + i, 2u * rank);
        sync();
        for (uint i = t; i < rank; i += gl_WorkGroupSize.x) {
            float sum = gram_at(i, 2u * rank);
            for (uint k = 0u; k < rank; ++k)
                sum += gram_at(i, k) * small.v[vector(LRA_ALPHA) + k];
            small.v[vector(LRA_BETA) + i] = sum;
        }
        return;
    }

    float bad = 0.0;
    for (uint e = t; e < width * width; e += gl_WorkGroupSize.x)
        bad = is_nonfinite(gram.v[e]) ? 1.0 : bad;
    vec2 traces = vec2(0.0);
    for (uint i = t; i < rank; i += gl_WorkGroupSize.x)
        traces += vec2(gram_at(i, i), gram_at(rank + i, rank + i));
    vec3 sums = workgroup_sum(vec3(traces, bad));
    bool balanced = rank == 0u || (sums.x > 0.0 && sums.y > 0.0);
    float quotient = rank == 0u ? 1.0 : sums.x / sums.y;
    bool good = sums.z == 0.0 && balanced && quotient > 1e-30 && quotient < 1e30;
    float rho = good ? sqrt(sqrt(quotient)) : 1.0;
    float rho2 = rho * rho;
    float total = sums.x / rho2 + sums.y * rho2;
    for (uint e = t; e < rank * rank; e += gl_WorkGroupSize.x) {
        uint i = e / rank;
        uint j = e - i * rank;
        float u = gram_at(i, j);
        float v = gram_at(rank + i, rank + j);
        small.v[matrix(UU) + e] = u;
        small.v[matrix(VV) + e] = v;
        small.v[matrix(VU) + e] = gram_at(rank + i, j);
        small.v[matrix(T1) + e] = good ? 0.1 * (u / rho2 - v * rho2) / total : 0.0;
    }
    sync();
    multiply(product(T2, T1, 0u, T1));
    for (uint e = t; e < rank * rank; e += gl_WorkGroupSize.x) {
        float one = e / rank == e % rank ? 1.0 : 0.0;
        float x = small.v[matrix(T1) + e];
        float half_square = 0.5 * small.v[matrix(T2) + e];
        small.v[matrix(LRA_A) + e] = (one - x + half_square) / rho;
        small.v[matrix(LRA_B) + e] = (one + x + half_square) * rho;
    }
    sync();
    // Products of the balanced U and V.
    [[dont_unroll]] for (uint k = 0u; k < 6u; ++k)
        multiply(k == 0u   ? product(T1, UU, 0u, LRA_A)
                 : k == 1u ? product(UU, LRA_A, 1u, T1)
                 : k == 2u ? product(T1, VV, 0u, LRA_B)
                 : k == 3u ? product(VV, LRA_B, 1u, T1)
                 : k == 4u ? product(T1, VU, 0u, LRA_A)
                           : product(T2, LRA_B, 1u, T1));
    for (uint e = t; e < rank * rank; e += gl_WorkGroupSize.x) {
        float s = small.v[matrix(T2) + e] + (e / rank == e % rank ? 1.0 : 0.0);
        small.v[matrix(VU) + e] = s;
        small.v[matrix(SYSTEM) + e] = s;
    }
    for (uint i = t; i < rank; i += gl_WorkGroupSize.x) {
        float ud = 0.0;
        float vd = 0.0;
        float uv = 0.0;
        float vv = 0.0;
        for (uint k = 0u; k < rank; ++k) {
            float a = small.v[matrix(LRA_A) + k * rank + i];
            float b = small.v[matrix(LRA_B) + k * rank + i];
            ud += a * gram_at(k, 2u * rank);
            vd += b * gram_at(rank + k, 2u * rank);
            uv += a * gram_at(k, 2u * rank + 1u);
            vv += b * gram_at(rank + k, 2u * rank + 1u);
        }
        small.v[vector(VEC_UD) + i] = ud;
        small.v[vector(LRA_BETA) + i] = vd; // alpha, for now
        small.v[vector(VEC_UV) + i] = uv;
        small.v[vector(VEC_VB) + i] = vv;
    }
    sync();
    invert();
    // V^T a, U^T a, U^T b; V^T b, delta and what S^T makes of V^T a and V^T b; at last coefficients of the U and V that
    // are there.
    [[dont_unroll]] for (uint k = 0u; k < 11u; ++k) {
        uint s = k == 0u   ? product(VEC_VA, VU, 0u, LRA_BETA)
                 : k == 1u ? product(LRA_UA, UU, 0u, LRA_BETA)
                 : k == 2u ? product(LRA_UB, INVERSE, 1u, VEC_UV)
                 : k == 3u ? product(VEC_UD, VV, 0u, LRA_UB)
                 : k == 4u ? product(VEC_UV, INVERSE, 0u, VEC_UD)
                 : k == 5u ? product(LRA_SVA, VU, 1u, VEC_VA)
                 : k == 6u ? product(LRA_SVB, VU, 1u, VEC_UD)
                 : k == 7u ? product(LRA_ALPHA, LRA_A, 0u, LRA_BETA)
                 : k == 8u ? product(LRA_DELTA, LRA_A, 0u, VEC_UV)
                 : k == 9u ? product(LRA_BETA, LRA_B, 0u, LRA_UA)
                           : product(LRA_GAMMA, LRA_B, 0u, LRA_UB);
        uint base = k == 1u ? VEC_UD : VEC_VB;
        multiply_vector(s & 15u, s >> 4 & 15u, (s >> 8 & 1u) != 0u, s >> 9, k == 1u || k == 3u, base,
                        k == 3u ? -1.0 : 1.0);
    }
    // |V V^T a|, |V V^T b|, |U U^T a|, |U U^T b|
    vec4 norms = vec4(0.0);
    [[dont_unroll]] for (uint k = 0u; k < 4u; ++k)
        norms = mix(norms, vec4(weighted_norm(k < 2u ? VV : UU, k == 0u ? VEC_VA : k == 1u ? VEC_UD : k == 2u ? LRA_UA : LRA_UB)),
                    equal(uvec4(0u, 1u, 2u, 3u), uvec4(k)));
    if (t == 0u) {
        bool usable = good;
        for (uint k = 0u; k < 8u * rank; ++k)
            usable = usable && !is_nonfinite(small.v[vector(0u) + k]);
        small.v[LRA_GOOD] = usable ? 1.0 : 0.0;
        small.v[LRA_NORMS] = norms.x;
        small.v[LRA_NORMS + 1u] = norms.y;
        small.v[LRA_NORMS + 2u] = norms.z;
        small.v[LRA_NORMS + 3u] = norms.w;
    }
}
