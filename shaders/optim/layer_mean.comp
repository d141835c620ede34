// SPDX-License-Identifier: MIT
// The means of statistics over the micro-batches of a step, all of them in one dispatch: X <- S in the first one,
// X <- X + (S - X) / k in the k-th; S over the square of the loss scale where it is of gradients. Elements end at the
// largest number, which NaN becomes too: a statistic of such a trace is left out. One workgroup takes rounds x
// workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/layer.h"

#define JOB LayerMeanJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/math.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].count;
    uint rounds = p.jobs.job[j].rounds;
    uint before = (group - p.jobs.job[j].first_group) * rounds;
    F32 statistic = p.jobs.job[j].statistic;
    F32 mean = p.jobs.job[j].mean;
    // The advance kernel of this micro-batch has counted it.
    uint number = p.control.c.micro_batches;
    float share = 1.0 / float(max(number, 1u));
    float unscale = (p.jobs.job[j].flags & LAYER_UNSCALE) != 0u ? reciprocal(p.control.c.loss_scale) : 1.0;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = (before + r) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (i >= count)
            break;
        precise float s = (statistic.v[i] * unscale) * unscale;
        if (number > 1u) {
            float before = mean.v[i];
            s = before + share * (s - before);
        }
        mean.v[i] = clamp_finite(s);
    }
}
