// SPDX-License-Identifier: MIT
// Inverse p-th roots of small symmetric matrices by coupled Newton (C.-H. Guo, N. Higham, SIAM J. Matrix Anal. 28,
// 2006): scaling, damping and all iterations in one dispatch, one workgroup a matrix, matrices of any mix of sizes.
//
//   M = (A + damping I) / c, X = I;   T = ((p + 1) I - M) / p,   M <- T^p M,   X <- X T,   until max |M - I| is small
//
// and then X <- X T once more: X^p A = M, so an error of M that is within the tolerance is one of X, and becomes its
// square.
//
// All matrices are polynomials of A: symmetric, and they commute. So only tiles on and above the diagonal are computed,
// and what is mirrored stays symmetric bit for bit. T^p M by binary powering from the left, T being made from M where
// it is needed. The new M is judged before X is touched: a rejected step changes nothing.
//
// M, B and X lie in shared memory (or rather memory that is as fast), each 4 q x 4 q with q = ceil(n / 4), as
// pool[base + l q + i] = rows 4 i .. 4 i + 3 of column l; the padding is an identity, which the iteration keeps. An
// invocation computes tiles of 4 x 4 in registers, stored after a barrier, since results replace operands.
//
// Needs 192 q^2 bytes of shared memory (POOL vectors), q (q + 1) / 2 <= TILES invocations.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "core/shared.h"
#include "linalg/inverse_root.h"

#define JOB InverseRootJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/tile.glsl"
#include "linalg/inverse_root.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;
layout(constant_id = SPEC_TILES) const uint TILES = 1;
layout(constant_id = SPEC_POOL) const uint POOL = 1024;

shared vec4 pool[POOL];
shared uint largest; // bits of a float that is not negative: they compare as the floats do, with NaNs on top
#include "linalg/pool_tile.glsl"

// Element (row, col) of a matrix in the pool.
float element(uint base, uint q, uint row, uint col) { return pool[base + col * q + row / 4][row & 3u]; }

// D = alpha A B + beta A for symmetric matrices that commute; D may be any of them. Needs a barrier before it, ends
// with one. With `judge`, `largest` becomes the largest |D - I|.
void multiply(uint a, uint b, uint d, float alpha, float beta, uint q, uvec2 at[TILES], bool judge) {
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint tiles = q * (q + 1) / 2;
    uint rounds = min((tiles + threads - 1) / threads, TILES); // a loop: CPU drivers pay for what is skipped, too
    mat4 result[TILES];
    if (judge && t == 0)
        largest = 0;
    for (uint s = 0; s < rounds; ++s) {
        uint tile = t + s * threads;
        if (tile < tiles) {
            uvec2 ij = at[s];
            mat4 acc = mat4(0.0);
            uint a_at = a + ij.x;
            uint b_at = b + ij.y;
            for (uint l = 0; l < q; ++l)
                [[unroll]] for (uint k = 0; k < 4; ++k) { // few iterations: lavapipe counts them
                    vec4 x = pool[a_at];
                    vec4 y = pool[b_at];
                    acc[0] += x.x * y;
                    acc[1] += x.y * y;
                    acc[2] += x.z * y;
                    acc[3] += x.w * y;
                    a_at += q;
                    b_at += q;
                }
            [[unroll]] for (uint r = 0; r < 4; ++r)
                result[s][r] = alpha * acc[r] + beta * pool[a + (4 * ij.x + r) * q + ij.y];
        }
    }
    barrier();
    uint worst = 0;
    for (uint s = 0; s < rounds; ++s) {
        uint tile = t + s * threads;
        if (tile < tiles) {
            uvec2 ij = at[s];
            if (ij.x == ij.y) // both halves are there: their mean has smaller errors
                result[s] = 0.5 * (result[s] + transpose(result[s]));
            write_symmetric_tile(d, q, ij, result[s]);
            if (judge)
                [[unroll]] for (uint r = 0; r < 4; ++r)
                    [[unroll]] for (uint c = 0; c < 4; ++c) {
                        float one = 4 * ij.x + r == 4 * ij.y + c ? 1.0 : 0.0;
                        worst = max(worst, floatBitsToUint(result[s][r][c] - one) & 0x7fffffffu);
                    }
        }
    }
    if (judge)
        atomicMax(largest, worst);
    barrier();
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    U32 a = p.jobs.job[j].a;
    F32 x = p.jobs.job[j].x;
    uint n = p.jobs.job[j].n;
    uint a_stride = p.jobs.job[j].a_stride;
    uint a_base = item * p.jobs.job[j].a_item;
    uint root = p.jobs.job[j].p;
    uint flags = p.jobs.job[j].flags;
    float tolerance = p.jobs.job[j].tolerance;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint q = (n + 3) / 4;
    uint side = 4 * q;
    uint m_at = 0;
    uint b_at = side * q;
    uint x_at = 2 * side * q;
    float p1 = float(root) + 1.0;
    float inverse_p = 1.0 / float(root);

    // --- M = (A + A^T) / 2
    if (t == 0)
        largest = 0;
    barrier();
    uint bits = 0; // of the largest element; also larger than all where one is not finite
    for (uint i = t; i < side * q; i += threads) {
        uint col = i / q;
        uint first = 4 * (i - col * q);
        vec4 values = vec4(0.0);
        [[dont_unroll]] for (uint r = 0; r < 4; ++r)
            if (first + r < n && col < n) {
                float v = load(a, a_base + (first + r) * a_stride + col, DTYPE_A);
                float w = load(a, a_base + col * a_stride + first + r, DTYPE_A);
                values[r] = mean_of(v, w);
                bits = max(bits, floatBitsToUint(abs(is_nonfinite(v) ? v : values[r])));
            }
        pool[m_at + i] = values;
    }
    atomicMax(largest, bits);
    barrier();
    bool finite = largest < 0x7f800000u;
    int unit = root_unit(max(uintBitsToFloat(largest), p.jobs.job[j].absolute));

    // --- Norms. Columns are rows. The sums of all of them are then added by everybody in the same order.
    for (uint col = t; col < n; col += threads) {
        vec4 sums = vec4(0.0);
        for (uint i = 0; i < q; ++i)
            [[unroll]] for (uint r = 0; r < 4; ++r)
                sums[r] += abs(root_in_unit(pool[m_at + col * q + i][r], unit));
        float sum = (sums.x + sums.y) + (sums.z + sums.w);
        vec4 squares = vec4(0.0);
        for (uint i = 0; i < q; ++i) {
            vec4 values = pool[m_at + col * q + i];
            [[unroll]] for (uint r = 0; r < 4; ++r) {
                float ratio = ratio_of(root_in_unit(values[r], unit), sum);
                squares[r] += ratio * ratio;
            }
        }
        pool[b_at + col] = vec4(sum, (squares.x + squares.y) + (squares.z + squares.w),
                                root_in_unit(element(m_at, q, col, col), unit), 0.0);
    }
    barrier();
    float infinity_norm = 0.0, mean = 0.0, max_diagonal = 0.0, squares = 0.0;
    for (uint i = 0; i < n; ++i) {
        vec4 row = pool[b_at + i];
        infinity_norm = max(infinity_norm, row.x);
        max_diagonal = max(max_diagonal, row.z);
        mean += row.z * (1.0 / float(n));
    }
    for (uint i = 0; i < n; ++i) {
        vec4 row = pool[b_at + i];
        float ratio = ratio_of(row.x, infinity_norm);
        squares += row.y * ratio * ratio;
    }
    RootScale scale = root_scale(unit, infinity_norm, infinity_norm * sqrt(squares) * 1.0001, mean, max_diagonal,
                                 p.jobs.job[j].relative_to, p.jobs.job[j].absolute, p.jobs.job[j].relative,
                                 root_largest_norm(root));
    uint verdict = !finite ? ROOT_NONFINITE : infinity_norm + scale.damping > 0.0 ? ROOT_RUNNING : ROOT_SINGULAR;
    barrier();

    // --- M and X
    for (uint i = t; i < side * q; i += threads) {
        uint col = i / q;
        uint first = 4 * (i - col * q);
        vec4 one = vec4(equal(uvec4(first) + uvec4(0, 1, 2, 3), uvec4(col)));
        vec4 values = pool[m_at + i];
        vec4 scaled;
        [[dont_unroll]] for (uint r = 0; r < 4; ++r)
            scaled[r] = scale_by(values[r], -scale.exponent);
        float damping = scale_by(scale.damping, unit - scale.exponent);
        pool[m_at + i] = col < n ? scaled + damping * one : one;
        pool[x_at + i] = one;
    }
    barrier();

    // --- Iterations
    uvec2 at[TILES]; // of this invocation
    [[unroll]] for (uint s = 0; s < TILES; ++s)
        at[s] = triangle_tile(min(t + s * threads, q * (q + 1) / 2 - 1), q);
    float error = uintBitsToFloat(0x7f800000u);
    uint used = 0;
    uint iterations = p.jobs.job[j].iterations;
    uint top = uint(findMSB(root));
    bool corrects = false; // the last round: X <- X T alone
    for (uint iteration = 1; !corrects; ++iteration) {
        if (verdict != ROOT_RUNNING || iteration > iterations) {
            corrects = root_status(verdict, error, tolerance) == STATUS_OK;
            if (!corrects)
                break;
        }
        for (uint i = t; i < side * q; i += threads) { // B = T
            uint col = i / q;
            uint first = 4 * (i - col * q);
            vec4 one = vec4(equal(uvec4(first) + uvec4(0, 1, 2, 3), uvec4(col)));
            pool[b_at + i] = (p1 * one - pool[m_at + i]) * inverse_p;
        }
        barrier();
        // One call in a loop, so that the product is in the code once:
        //
        //   2 i + 3   B <- B B              for each binary digit i of p after the first
        //   2 i + 2   B <- B T              where that digit is 1; then B = T^(p >> i)
        //   1         B <- B M, the new M   which is judged
        //   0         X <- X T              A T = (p + 1) / p A - A M / p
        for (uint step = corrects ? 1 : 2 * top + 2; step-- > 0 && (corrects || verdict <= ROOT_CONVERGED);) {
            bool squares = step > 1 && (step & 1u) != 0;
            bool with_t = (step & 1u) == 0;
            if (step > 1 && with_t && (root >> (step / 2 - 1) & 1u) == 0)
                continue;
            uint left = step == 0 ? x_at : b_at;
            multiply(left, squares ? b_at : m_at, left, with_t ? -inverse_p : 1.0, with_t ? p1 * inverse_p : 0.0, q, at,
                     step == 1);
            if (step == 1) {
                uint bits = largest;
                verdict = root_verdict(iteration, root, n, bits, error, tolerance, true);
                if (verdict <= ROOT_CONVERGED)
                    error = uintBitsToFloat(bits);
                barrier(); // `largest` is written again
            }
        }
        if (corrects || verdict > ROOT_CONVERGED)
            continue;
        used = iteration;
        uint swapped = m_at;
        m_at = b_at;
        b_at = swapped;
    }

    // --- Result
    bool failed = root_failed(verdict);
    uint x_stride = p.jobs.job[j].x_stride;
    uint x_base = item * p.jobs.job[j].x_item;
    if (!failed || (flags & ROOT_KEEP) == 0)
        for (uint i = t; i < n * n; i += threads) {
            uint row = i / n;
            uint col = i - row * n;
            x.v[x_base + row * x_stride + col] =
                failed ? 0.0 : scale_by_power(element(x_at, q, col, row), scale.exponent, -1, root);
        }
    if (t != 0)
        return;
    if ((flags & ROOT_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = root_status(verdict, error, tolerance);
    }
    if ((flags & ROOT_HAS_RESIDUAL) != 0) {
        F32 residual = p.jobs.job[j].residual;
        residual.v[item] = failed ? uintBitsToFloat(0x7f800000u) : error;
    }
    if ((flags & ROOT_HAS_USED) != 0) {
        U32 count = p.jobs.job[j].used;
        count.v[item] = used;
    }
}
