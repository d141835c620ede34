// SPDX-License-Identifier: MIT
// The plain average of Kronecker factors, all of them in one dispatch: F <- decay F + rate unit^2 S, elements cut to
// the range of f32; one that was NaN stays so, for the root to fail. A workgroup takes rounds x workgroup size
// elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "curvature/kronecker.h"

#define JOB KroneckerAddJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "core/reduce.glsl"
#include "curvature/elements.glsl"

void main() {
    if (nothing_to_do())
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint order = p.jobs.job[j].order;
    uint rounds = p.jobs.job[j].rounds;
    uint count = order * order;
    float decay = p.jobs.job[j].decay;
    float rate = p.jobs.job[j].rate;
    F32 average = p.jobs.job[j].average;
    F32 statistic = p.jobs.job[j].statistic;
    F32 address = p.jobs.job[j].unit;
    float unit = p.jobs.job[j].unit_value;
    if (unit == 0.0)
        unit = address.v[0];
    for (uint r = 0u; r < rounds; ++r) {
        uint i = element_at(j, group, r);
        if (i >= count)
            break;
        uint lanes = lanes_at(j, group, r);
        // The unit's square may be out of range where the product is not.
        precise float s = (load_element(statistic, i, lanes, count) * unit) * unit;
        precise float f = decay * load_element(average, i, lanes, count) + rate * clamp_finite(s);
        average.v[i] = is_nan(f) ? f : clamp_finite(f);
    }
}
