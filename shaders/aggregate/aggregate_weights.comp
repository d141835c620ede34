// SPDX-License-Identifier: MIT
// Weights of UPGrad and DualProj: sums of the solutions of their problems, an invocation for each objective, and the
// worst of their verdicts. One workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "aggregate/aggregate.h"
#include "linalg/status.h"

#define JOB AggregateWeightsJob
#include "core/double_float.glsl"
#include "core/kernel.glsl"

// Which of two verdicts is the worse one.
uint rank_of(uint verdict) {
    return verdict == STATUS_NONFINITE ? 3u : verdict == STATUS_NOT_CONVERGED ? 2u : verdict == STATUS_JITTERED ? 1u : 0u;
}

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 solutions = p.jobs.job[j].solutions;
    U32 verdicts = p.jobs.job[j].verdicts;
    F32 weights = p.jobs.job[j].weights;
    U32 status = p.jobs.job[j].status;
    F32 residual = p.jobs.job[j].residual;
    uint k = p.jobs.job[j].objectives;
    uint problems = p.jobs.job[j].problems;
    uint flags = p.jobs.job[j].flags;
    uint t = gl_LocalInvocationID.x;
    uint i = min(t, k - 1u);
    vec2 sum = vec2(0.0);
    float worst = 0.0;
    uint verdict = STATUS_OK;
    for (uint c0 = 0; c0 < problems; ++c0) {
        uint c = min(c0, problems - 1u);
        sum = df_add(sum, vec2(solutions.v[c * k + i], 0.0));
        worst = max(worst, uintBitsToFloat(verdicts.v[2u * c + 1u]));
        uint other = verdicts.v[2u * c];
        if (rank_of(other) > rank_of(verdict))
            verdict = other;
    }
    if (t < k)
        weights.v[i] = sum.x;
    if (t != 0u)
        return;
    if ((flags & AGGREGATE_HAS_STATUS) != 0u)
        status.v[0] = verdict;
    if ((flags & AGGREGATE_HAS_RESIDUAL) != 0u)
        residual.v[0] = worst;
}
