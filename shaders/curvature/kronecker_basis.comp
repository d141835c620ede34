// SPDX-License-Identifier: MIT
// Eigenvectors and eigenvalues of Kronecker factors take the place of the old ones. Values up to `least` become 0, and
// those up to sqrt(order) 2^-24 of the largest, what rounding makes of 0. Where none were found both stay, and the
// failure is counted. All factors in one dispatch. A workgroup takes rounds x workgroup size elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"
#include "linalg/status.h"

#define JOB KroneckerBasisJob
#include "core/kernel.glsl"
#include "curvature/elements.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    U32 status_address = p.jobs.job[j].status;
    uint status = status_address.v[0];
    if (status != STATUS_OK && status != STATUS_NOT_CONVERGED) {
        if (group == p.jobs.job[j].first_group && gl_LocalInvocationID.x == 0u) {
            U32 failures = p.jobs.job[j].failures;
            uint before = failures.v[0];
            failures.v[0] = before + uint(before != 0xffffffffu);
        }
        return;
    }
    uint order = p.jobs.job[j].order;
    uint rounds = p.jobs.job[j].rounds;
    uint count = order * order;
    F32 vectors = p.jobs.job[j].vectors;
    F32 values = p.jobs.job[j].values;
    float rounding = sqrt(float(order)) * 5.9604645e-8 * values.v[order - 1u];
    float least = max(p.jobs.job[j].least, rounding);
    F32 basis = p.jobs.job[j].basis;
    F32 spectrum = p.jobs.job[j].spectrum;
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        basis.v[i] = vectors.v[i];
        if (i < order) {
            float value = values.v[i];
            spectrum.v[i] = value > least ? value : 0.0;
        }
    }
}
