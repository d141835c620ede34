// SPDX-License-Identifier: MIT
// -(values + lambda)^-1 of the coefficients in the eigenbasis; one workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#define REDUCE_WORKGROUP
#include "linalg/status.h"
#include "newton/newton.h"

#define JOB NewtonEigenJob
#include "core/kernel.glsl"
#include "core/reduce.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint j = find_job(workgroup_index());
    F32 values = p.jobs.job[j].values;
    F32 lambdas = p.jobs.job[j].lambda;
    F32 coefficients = p.jobs.job[j].coefficients;
    U32 status = p.jobs.job[j].status;
    uint order = p.jobs.job[j].order;
    float lambda = lambdas.v[0];
    vec3 found = vec3(0.0); // numbers that are not finite, sums that are not positive
    for (uint i = gl_LocalInvocationID.x; i < order; i += gl_WorkGroupSize.x) {
        float value = values.v[min(i, order - 1u)], coefficient = coefficients.v[min(i, order - 1u)];
        bool bad = is_nonfinite(value) || is_nonfinite(coefficient) || is_nonfinite(lambda) || lambda < 0.0;
        found += vec3(bad ? 1.0 : 0.0, value + lambda > 0.0 ? 0.0 : 1.0, 0.0);
    }
    found = workgroup_sum(found);
    bool usable = found.x == 0.0 && found.y == 0.0;
    for (uint i = gl_LocalInvocationID.x; i < order; i += gl_WorkGroupSize.x)
        coefficients.v[i] = usable ? -coefficients.v[i] / (values.v[i] + lambda) : 0.0;
    if ((p.jobs.job[j].flags & NEWTON_HAS_STATUS) != 0u && gl_LocalInvocationID.x == 0u)
        status.v[0] = found.x != 0.0 ? STATUS_NONFINITE : found.y != 0.0 ? STATUS_INDEFINITE : STATUS_OK;
}
