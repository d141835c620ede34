// SPDX-License-Identifier: MIT
// Householder vectors of up to 32 columns, one workgroup a matrix, many matrices in one dispatch.
//
//   column j:  v = x - beta e_j,  beta = -sign(x_j) |x|,  scaled so that v_j = 1,  tau = (beta - x_j) / beta
//   H_1 ... H_w = I - V T V^T  (compact WY; R. Schreiber and C. Van Loan 1989), T upper triangular
//
// Rows belong to invocations: row `first` + i to invocation i mod THREADS, which alone reads and writes it, so that W can
// stay in memory without fences. What crosses rows are sums: the norm of a column, and the products of v with all 32
// columns, of which those to the right update the columns and those to the left make the next column of T.
//
// Results: R in W's upper triangle; V, and V T^T, as matrices of their own, for products. A matrix of one panel is finished
// here (QR_WHOLE): Q = E - V (V T^T)^T E with E the first n columns of the identity, of which only its first n rows matter.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define REDUCE_WORKGROUP
#include "linalg/qr.h"
#include "linalg/status.h"
#define JOB QrPanelJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"

layout(constant_id = SPEC_DTYPE_A) const uint DTYPE_A = DTYPE_F32;

const uint B = QR_PANEL;
const uint PITCH = gl_WorkGroupSize.x + 1;

shared float parts[B * PITCH > B * B ? B * PITCH : B * B]; // partial sums; at the end the first rows of V T^T
shared float sums[B];
shared float t_matrix[B * B]; // row r, column s at r B + s
shared float pivot;
shared float signs[B];

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
    for (uint e = t; e < B * B; e += threads)
        t_matrix[e] = 0.0;

    for (uint s = 0; s < steps; ++s) {
        // --- The vector
        vec3 acc = vec3(0.0);
        for (uint i = t; i < rows; i += threads) {
            float x = w.v[base + i * n + s];
            if (i > s)
                blue_add(acc, x);
            if (i == s)
                pivot = x;
        }
        acc = workgroup_sum(acc);
        float alpha = pivot;
        bool nothing_below = acc == vec3(0.0);
        blue_add(acc, alpha);
        float norm = blue_norm(acc);
        float beta = nothing_below ? alpha : alpha > 0.0 ? -norm : norm;
        float tau = nothing_below ? 0.0 : (beta - alpha) / beta;
        float divisor = alpha - beta;

        // --- Its products with all columns
        float dot_with[B];
        [[unroll]] for (uint c = 0; c < B; ++c)
            dot_with[c] = 0.0;
        for (uint i = t; i < rows; i += threads) {
            if (i < s)
                continue;
            uint at = base + i * n;
            float x = i == s ? 1.0 : nothing_below ? 0.0 : w.v[at + s] / divisor;
            w.v[at + s] = i == s ? beta : x;
            [[unroll]] for (uint c = 0; c < B; ++c)
                dot_with[c] += x * w.v[at + min(c, columns - 1)];
        }
        [[unroll]] for (uint c = 0; c < B; ++c)
            parts[c * PITCH + t] = dot_with[c];
        barrier();
        for (uint c = t; c < B; c += threads) {
            float sum = 0.0;
            for (uint i = 0; i < threads; ++i)
                sum += parts[c * PITCH + i];
            sums[c] = sum;
        }
        barrier();

        // --- The columns to the right, and column s of T
        for (uint i = t; i < rows; i += threads) {
            if (i < s)
                continue;
            uint at = base + i * n;
            float x = i == s ? 1.0 : w.v[at + s];
            [[unroll]] for (uint c = 1; c < B; ++c)
                if (c > s && c < columns)
                    w.v[at + c] -= tau * x * sums[c];
        }
        for (uint r = t; r <= s; r += threads) {
            float sum = 0.0;
            for (uint q = r; q < s; ++q)
                sum += t_matrix[r * B + q] * sums[q];
            t_matrix[r * B + s] = r == s ? tau : -tau * sum;
        }
        if (t == 0)
            signs[s] = beta;
        barrier();
    }

    // --- V, and V T^T
    for (uint i = t; i < rows; i += threads) {
        uint at = base + i * n;
        uint to = (item * m + first + i) * n + first;
        float x[B];
        [[unroll]] for (uint c = 0; c < B; ++c) {
            x[c] = c >= steps || c > i ? 0.0 : c == i ? 1.0 : w.v[at + min(c, columns - 1)];
            if (!whole && c < steps)
                v.v[to + c] = x[c];
        }
        for (uint c = 0; c < B; ++c) { // not unrolled: 500 terms take SwiftShader minutes
            float sum = 0.0;
            for (uint q = c; q < B; ++q)
                sum += x[q] * t_matrix[c * B + q];
            if (whole && i < B)
                parts[i * B + c] = sum;
            if (!whole && c < steps)
                product.v[to + c] = sum;
        }
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
    bool positive = (flags & QR_POSITIVE) != 0;
    F32 q = p.jobs.job[j].q;
    F32 r = p.jobs.job[j].r;
    uint q_base = item * p.jobs.job[j].q_item;
    uint q_stride = p.jobs.job[j].q_stride;
    uint r_base = item * p.jobs.job[j].r_item;
    uint r_stride = p.jobs.job[j].r_stride;
    for (uint i = t; i < rows; i += threads) {
        uint at = base + i * n;
        float x[B];
        [[unroll]] for (uint c = 0; c < B; ++c)
            x[c] = c >= steps || c > i ? 0.0 : c == i ? 1.0 : w.v[at + min(c, columns - 1)];
        for (uint c = 0; c < n; ++c) {
            uint row = min(c, B - 1) * B;
            float sum = i == c ? 1.0 : 0.0;
            [[unroll]] for (uint s = 0; s < B; ++s)
                sum -= x[s] * parts[row + s];
            bool flip = positive && signs[min(c, B - 1)] < 0.0;
            q.v[q_base + i * q_stride + c] = !finite ? 0.0 : flip ? -sum : sum;
        }
        if (i < n) {
            bool flip = positive && signs[min(i, B - 1)] < 0.0;
            for (uint c = 0; c < n; ++c) {
                float value = c < i ? 0.0 : w.v[at + min(c, n - 1)];
                r.v[r_base + i * r_stride + c] = !finite || c < i ? 0.0 : flip ? -value : value;
            }
        }
    }
    if (t == 0 && (flags & QR_HAS_STATUS) != 0) {
        U32 status = p.jobs.job[j].status;
        status.v[item] = !finite ? STATUS_NONFINITE : full_rank ? STATUS_OK : STATUS_RANK_DEFICIENT;
    }
}
