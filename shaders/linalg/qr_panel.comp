// SPDX-License-Identifier: MIT
// Householder vectors of up to 32 columns, one workgroup a matrix, many matrices in one dispatch.
//
//   column j:  v = x - beta e_j,  beta = -sign(x_j) |x|,  scaled so that v_j = 1,  tau = (beta - x_j) / beta
//   H_1 ... H_w = I - V T V^T  (compact WY; R. Schreiber and C. Van Loan 1989), T upper triangular
//
// Rows belong to invocations: row `first` + i to invocation i mod THREADS, which alone reads and writes it, so that W
// can stay in memory without fences. What crosses rows are sums: the norm of a column, and the products of v with all
// 32 columns, of which those to the right update the columns and those to the left make the next column of T.
//
// Results: R in W's upper triangle; V, and V T^T, as matrices of their own, for products. A matrix of one panel is
// finished here (QR_WHOLE): Q = E - V (V T^T)^T E with E the first n columns of the identity, of which only its first n
// rows matter.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define REDUCE_WORKGROUP
#define REDUCE_COMPACT
#include "linalg/qr.h"
#include "linalg/status.h"
#define JOB QrPanelJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

const uint B = QR_PANEL;
const uint C = 8; // columns at a time: few registers, little code
const uint PITCH = gl_WorkGroupSize.x + 1;

const float TINY = 8.6736174e-19;  // 2^-60
const float HUGE = 4.2535296e37;   // 2^125
const float UP = 1.2676506e30;     // 2^100
const float DOWN = 0.0625;

shared float parts[B * PITCH > B * B ? B * PITCH : B * B]; // partial sums; at the end the first rows of V T^T
shared float sums[B];
shared float t_matrix[B * B]; // row r, column s at r B + s
shared float pivot;
shared float signs[B];

// Element q of row i of V, whose row in W begins at `at`.
float vector_element(F32 w, uint at, uint i, uint q) { return q > i ? 0.0 : q == i ? 1.0 : w.v[at + q]; }

// Sums of the squares of column s below the diagonal, times `scale`.
vec3 squares_below(F32 w, uint base, uint n, uint rows, uint s, float scale) {
    vec3 acc = vec3(0.0);
    for (uint i = gl_LocalInvocationID.x; i < rows; i += gl_WorkGroupSize.x)
        if (i > s)
            blue_add(acc, w.v[base + i * n + s] * scale);
    return workgroup_sum(acc);
}

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint item = group - p.jobs.job[j].first_group;
    U32 a = p.jobs.job[j].a;
    F32 w = p.jobs.job[j].w;
    F32 v = p.jobs.job[j].v;
    F32 product = p.jobs.job[j].product;
    uint m = p.jobs.job[j].m;
    uint n = p.jobs.job[j].n;
    uint first = p.jobs.job[j].first;
    uint width = p.jobs.job[j].width;
    uint flags = p.jobs.job[j].flags;
    bool whole = (flags & QR_WHOLE) != 0;
    uint t = gl_LocalInvocationID.x;
    uint threads = gl_WorkGroupSize.x;
    uint rows = m - first;
    uint base = item * m * n + first * n + first; // element (0, 0) of the panel
    uint columns = whole ? n : width;
    uint steps = min(width, rows);

    if (whole) {
        uint a_stride = p.jobs.job[j].a_stride;
        uint a_base = item * p.jobs.job[j].a_item;
        for (uint i = t; i < rows; i += threads)
            for (uint c = 0; c < n; ++c)
                w.v[base + i * n + c] = load(a, a_base + i * a_stride + min(c, n - 1), DTYPE_A);
    }
    [[dont_unroll]] for (uint e = t; e < B * B; e += threads)
        t_matrix[e] = 0.0;

    for (uint s = 0; s < steps; ++s) {
        // --- The vector
        if (t == s % threads)
            pivot = w.v[base + s * n + s];
        // What is left of a column that depends on others is rounding, some 2^-24 smaller with each of them: before v
        // and tau would be made of numbers with few bits, and H no longer be orthogonal, the column is scaled. So is one
        // whose alpha - beta would not be in f32.
        float scale = 1.0, alpha, norm;
        bool nothing_below;
        [[dont_unroll]] for (uint attempt = 0; attempt < 2; ++attempt) {
            vec3 acc = squares_below(w, base, n, rows, s, scale);
            alpha = pivot * scale;
            nothing_below = acc == vec3(0.0);
            blue_add(acc, alpha);
            norm = blue_norm(acc);
            if (norm >= TINY && norm <= HUGE)
                break;
            scale = attempt != 0 ? scale : norm < TINY ? UP : DOWN;
        }
        float beta = nothing_below ? alpha : alpha > 0.0 ? -norm : norm;
        float tau = nothing_below ? 0.0 : quotient(beta - alpha, beta);
        float divisor = alpha - beta;

        for (uint i = t; i < rows; i += threads)
            if (i >= s)
                w.v[base + i * n + s] = i == s          ? beta / scale
                                        : nothing_below ? 0.0
                                                        : quotient(w.v[base + i * n + s] * scale, divisor);

        // --- Its products with all columns, C at a time
        for (uint c0 = 0; c0 < columns; c0 += C) {
            float dot_with[C];
            [[unroll]] for (uint c = 0; c < C; ++c)
                dot_with[c] = 0.0;
            for (uint i = t; i < rows; i += threads) {
                if (i < s)
                    continue;
                uint at = base + i * n;
                float x = i == s ? 1.0 : w.v[at + s];
                [[unroll]] for (uint c = 0; c < C; ++c)
                    dot_with[c] += x * w.v[at + min(c0 + c, columns - 1)];
            }
            [[unroll]] for (uint c = 0; c < C; ++c)
                parts[(c0 + c) * PITCH + t] = dot_with[c];
        }
        barrier();
        for (uint c = t; c < columns; c += threads) {
            float sum = 0.0;
            [[dont_unroll]] for (uint i = 0; i < threads; ++i)
                sum += parts[c * PITCH + i];
            sums[c] = sum;
        }
        barrier();

        // --- The columns to the right, and column s of T
        for (uint c0 = (s + 1) / C * C; c0 < columns; c0 += C)
            for (uint i = t; i < rows; i += threads) {
                if (i < s)
                    continue;
                uint at = base + i * n;
                float x = tau * (i == s ? 1.0 : w.v[at + s]);
                [[unroll]] for (uint c = 0; c < C; ++c)
                    if (c0 + c > s && c0 + c < columns)
                        w.v[at + c0 + c] -= x * sums[c0 + c];
            }
        for (uint r = t; r <= s; r += threads) {
            float sum = 0.0;
            for (uint q = r; q < s; ++q)
                sum += t_matrix[r * B + q] * sums[q];
            t_matrix[r * B + s] = r == s ? tau : -tau * sum;
        }
        if (t == 0)
            signs[s] = beta / scale;
        barrier();
    }

    // --- V, and V T^T
    for (uint i = t; i < rows; i += threads) {
        uint to = (item * m + first + i) * n + first;
        for (uint c0 = 0; c0 < steps; c0 += C) {
            float sum[C];
            [[unroll]] for (uint c = 0; c < C; ++c)
                sum[c] = 0.0;
            for (uint q = c0; q < steps; ++q) { // T is zero below its diagonal
                float x = vector_element(w, base + i * n, i, q);
                [[unroll]] for (uint c = 0; c < C; ++c)
                    sum[c] += x * t_matrix[(c0 + c) * B + q];
            }
            [[unroll]] for (uint c = 0; c < C; ++c) {
                if (whole && i < B)
                    parts[i * B + c0 + c] = sum[c];
                if (!whole && c0 + c < steps)
                    product.v[to + c0 + c] = sum[c];
            }
        }
        if (!whole)
            for (uint c = 0; c < steps; ++c)
                v.v[to + c] = vector_element(w, base + i * n, i, c);
    }
    if (!whole)
        return;
    barrier();

    // --- Q, R and the status
    float largest = 0.0;
    float smallest = 3.0e38;
    bool finite = true;
    for (uint s = 0; s < steps; ++s) {
        float d = abs(signs[min(s, B - 1)]);
        finite = finite && !is_nonfinite(d);
        largest = max(largest, d);
        smallest = min(smallest, d);
    }
    bool full_rank = finite && smallest > p.jobs.job[j].tolerance * largest;
    barrier(); // everybody has seen the diagonal
    for (uint c = t; c < n; c += threads)
        signs[c] = (flags & QR_POSITIVE) != 0 && signs[c] < 0.0 ? -1.0 : 1.0;
    barrier();
    F32 q = p.jobs.job[j].q;
    F32 r = p.jobs.job[j].r;
    uint q_base = item * p.jobs.job[j].q_item;
    uint q_stride = p.jobs.job[j].q_stride;
    uint r_base = item * p.jobs.job[j].r_item;
    uint r_stride = p.jobs.job[j].r_stride;
    for (uint i = t; i < rows; i += threads) {
        uint at = base + i * n;
        for (uint c0 = 0; c0 < n; c0 += C) {
            float sum[C];
            [[unroll]] for (uint c = 0; c < C; ++c)
                sum[c] = i == c0 + c ? 1.0 : 0.0;
            for (uint s = 0; s < steps; ++s) {
                float x = vector_element(w, at, i, s);
                [[unroll]] for (uint c = 0; c < C; ++c)
                    sum[c] -= x * parts[(c0 + c) * B + s]; // zero, or not used, from n on
            }
            [[unroll]] for (uint c = 0; c < C; ++c)
                if (c0 + c < n)
                    q.v[q_base + i * q_stride + c0 + c] = finite ? signs[c0 + c] * sum[c] : 0.0;
        }
        if (i < n)
            for (uint c = 0; c < n; ++c) {
                float value = c < i ? 0.0 : signs[i] * w.v[at + min(c, n - 1)];
                r.v[r_base + i * r_stride + c] = finite ? value : 0.0;
            }
    }
    if (t == 0 && (flags & QR_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = !finite ? STATUS_NONFINITE : full_rank ? STATUS_OK : STATUS_RANK_DEFICIENT;
    }
}
