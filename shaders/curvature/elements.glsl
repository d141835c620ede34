// SPDX-License-Identifier: MIT
// Which elements of a factor are whose. The includer has included core/kernel.glsl, and its job struct has the member
// `rounds`.
#ifndef HERON_CURVATURE_ELEMENTS_GLSL
#define HERON_CURVATURE_ELEMENTS_GLSL

#include "core/lanes.glsl"

// Of round r of this invocation; neighbours are in neighbouring invocations.
uint element_at(uint j, uint group, uint r) {
    uint before = (group - p.jobs.job[j].first_group) * p.jobs.job[j].rounds;
    return (before + r) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

// Where LANES is not 0: the first one of the subgroup, whose invocations follow each other in the workgroup.
uint lanes_at(uint j, uint group, uint r) {
    uint before = (group - p.jobs.job[j].first_group) * p.jobs.job[j].rounds;
    return (before + r) * gl_WorkGroupSize.x + gl_SubgroupID * LANES;
}

// Element i = element_at() of x, which has `count`; `lanes` is lanes_at() of that round.
float load_element(F32 x, uint i, uint lanes, uint count) {
    bool whole = LANES != 0u && lanes + LANES <= count;
    return whole ? load_lanes(x, lanes, count) : x.v[i];
}

bool on_diagonal(uint i, uint order) { return i % (order + 1u) == 0u; }

#endif
