// SPDX-License-Identifier: MIT
// MGDA: weights on the simplex that make |J^T alpha| small, by Frank and Wolfe with exact line search, from 1 / k each
// (O. Sener, V. Koltun, NeurIPS 2018, algorithm 2), in double-float arithmetic. One workgroup, an invocation for each
// objective.
//
//   t = argmin_i (G alpha)_i;  a = (G alpha)_t, b = alpha^T G alpha, c = G_tt
//   gamma = 1 if c <= a, 0 if b <= a, else (b - a) / (b + c - 2 a);  alpha <- (1 - gamma) alpha + gamma e_t
//
// until gamma < epsilon. G alpha is kept up to date, which costs k in place of k^2. The residual is the duality gap
// (b - a) / tr G of the result: |J^T alpha|^2 is above its minimum by twice that at most. Up to 2^-30 of it are
// convergence, too: at a corner of the simplex, gamma stays 1.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "aggregate/aggregate.h"
#include "linalg/status.h"

#define JOB AggregateMinNormJob
#include "aggregate/scaled_gram.glsl"
#include "core/kernel.glsl"

const float CERTIFIED = 9.32e-10; // 2^-30

shared vec2 least[AGGREGATE_LARGEST]; // elements of G alpha
shared uint index[AGGREGATE_LARGEST];
shared vec2 sums[AGGREGATE_LARGEST];  // of alpha^T G alpha
shared uint nonfinite;

// The smallest element of G alpha, the first one of several, and alpha^T G alpha; all invocations have to come here.
void survey(bool mine, vec2 alpha, vec2 g, out uint where, out vec2 a, out vec2 b) {
    uint t = gl_LocalInvocationID.x;
    barrier(); // the results of the survey before have been read
    least[t] = mine ? g : vec2(3e38, 0.0);
    index[t] = t;
    sums[t] = mine ? df_multiply(alpha, g) : vec2(0.0);
    barrier();
    for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
        if (t < half_size) {
            sums[t] = df_add(sums[t], sums[t + half_size]);
            bool less = df_less(least[t + half_size], least[t]);
            bool tie = least[t + half_size] == least[t] && index[t + half_size] < index[t];
            if (less || tie) {
                least[t] = least[t + half_size];
                index[t] = index[t + half_size];
            }
        }
        barrier();
    }
    where = index[0];
    a = least[0];
    b = sums[0];
}

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 gram = p.jobs.job[j].gram;
    F32 weights = p.jobs.job[j].weights;
    U32 status = p.jobs.job[j].status;
    F32 residual = p.jobs.job[j].residual;
    uint k = p.jobs.job[j].objectives;
    uint flags = p.jobs.job[j].flags;
    float epsilon = p.jobs.job[j].epsilon;
    uint t = gl_LocalInvocationID.x;
    bool mine = t < k;
    uint i = min(t, k - 1u);

    if (t == 0u)
        nonfinite = 0u;
    barrier();
    float trace = gram_trace(gram, k);
    bool bad = is_nonfinite(trace);
    for (uint c = 0; c < k; ++c)
        bad = bad || is_nonfinite(gram.v[min(c, k - 1u) * k + i]);
    if (bad)
        atomicOr(nonfinite, 1u);
    barrier();
    bool finite = nonfinite == 0u;
    int e = finite && trace >= 1.18e-38 ? exponent_of(trace) : 0;

    vec2 alpha = df_divide(vec2(1.0, 0.0), vec2(float(k), 0.0));
    vec2 g = vec2(0.0);
    for (uint c = 0; c < k; ++c)
        g = df_add(g, df_multiply(vec2(scale_by(gram.v[min(c, k - 1u) * k + i], -e), 0.0), alpha));

    bool converged = false;
    uint where;
    vec2 a, b;
    uint iterations = finite ? p.jobs.job[j].iterations : 0u;
    for (uint round = 0; round < iterations && !converged; ++round) {
        survey(mine, alpha, g, where, a, b);
        where = min(where, k - 1u);
        vec2 c = vec2(scale_by(gram.v[where * (k + 1u)], -e), 0.0);
        vec2 gamma = vec2(1.0, 0.0);
        if (df_less(a, c)) {
            gamma = vec2(0.0);
            if (df_less(a, b)) {
                vec2 gain = df_add(b, -a);
                gamma = df_divide(gain, df_add(gain, df_add(c, -a)));
            }
        }
        vec2 rest = df_add(vec2(1.0, 0.0), -gamma);
        alpha = df_add(df_multiply(rest, alpha), t == where ? gamma : vec2(0.0));
        g = df_add(df_multiply(rest, g), df_multiply(gamma, vec2(scale_by(gram.v[where * k + i], -e), 0.0)));
        converged = gamma.x < epsilon;
    }
    survey(mine, alpha, g, where, a, b);
    if (mine)
        weights.v[i] = alpha.x;
    if (t != 0u)
        return;
    float scale = scale_by(trace, -e);
    float gap = max(df_add(b, -a).x, 0.0);
    float relative = !finite ? uintBitsToFloat(0x7f800000u) : scale > 0.0 ? gap / scale : 0.0;
    if ((flags & AGGREGATE_HAS_STATUS) != 0u)
        status.v[0] = !finite ? STATUS_NONFINITE
                              : converged || relative <= CERTIFIED ? STATUS_OK : STATUS_NOT_CONVERGED;
    if ((flags & AGGREGATE_HAS_RESIDUAL) != 0u)
        residual.v[0] = relative;
}
