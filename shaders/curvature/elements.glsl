// SPDX-License-Identifier: MIT
// Which elements of a factor are whose. The includer has included core/kernel.glsl, and its job struct has the member
// `rounds`.
#ifndef HERON_CURVATURE_ELEMENTS_GLSL
#define HERON_CURVATURE_ELEMENTS_GLSL

// Of round r of this invocation; neighbours are in neighbouring invocations.
uint element_at(uint j, uint group, uint r) {
    uint before = (group - p.jobs.job[j].first_group) * p.jobs.job[j].rounds;
    return (before + r) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
}

bool on_diagonal(uint i, uint order) { return i % (order + 1u) == 0u; }

#endif
