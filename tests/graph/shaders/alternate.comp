// SPDX-License-Identifier: MIT
// Starts a step of a test plan as the advance kernel does: counts it, and switches the sections on and off.
//
// Grid: one workgroup, of which one invocation works.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "affine.h"
#include "core/section.h"
#define JOB AlternateJob
#include "core/kernel.glsl"

void main() {
    if (gl_LocalInvocationID.x != 0)
        return;
    U32 control = p.jobs.job[0].control;
    U32 table = p.jobs.job[0].table;
    U32 arguments = p.jobs.job[0].arguments;
    uint tick = control.v[0];
    control.v[0] = tick + 1;
    for (uint i = 0; i < table.v[0]; ++i) {
        uint entry = SECTION_TABLE_HEADER_WORDS * (i + 1);
        bool on = section_runs(SectionEntry(0u, 0u, table.v[entry + 2], table.v[entry + 3], table.v[entry + 4],
                                            table.v[entry + 5], table.v[entry + 6], 0u),
                               tick, true);
        arguments.v[SECTION_ARGUMENT_WORDS * i] = on ? table.v[entry] : 0;
        arguments.v[SECTION_ARGUMENT_WORDS * i + 1] = on ? table.v[entry + 1] : 0;
        arguments.v[SECTION_ARGUMENT_WORDS * i + 2] = on ? 1 : 0;
    }
}
