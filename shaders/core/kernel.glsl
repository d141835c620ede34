// SPDX-License-Identifier: MIT
// The frame of every kernel. The includer has defined the macro JOB as the name of its job struct (whose last member is
// `uint first_group`) and included the struct's header.
//
// Gives: p.jobs.job[j], p.job_count, workgroup_index(), nothing_to_do(), find_job().
#ifndef HERON_CORE_KERNEL_GLSL
#define HERON_CORE_KERNEL_GLSL

#include "core/push.h"

layout(local_size_x_id = SPEC_THREADS) in;

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Jobs { JOB job[]; };
layout(push_constant, scalar) uniform PushConstants { Push p; };

// The grid has two axes because one may be limited to 65,535 workgroups.
uint place_in_grid() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x + p.group_offset; }

// In the idle workgroups at the end of a two-axis grid the last one that is busy: lavapipe 26.1 loads what is at a
// uniform address after they have returned, too.
uint workgroup_index() { return min(place_in_grid(), p.group_end - 1); }

// True in idle workgroups, and in every workgroup of a skipped step. Uniform: the whole workgroup returns.
bool nothing_to_do() {
    if (place_in_grid() >= p.group_end)
        return true;
    return (p.flags & FLAG_GUARDED) != 0 && p.control.c.skip != 0;
}

// The job that workgroup `group` belongs to: the last one whose first_group is not above it.
uint find_job(uint group) {
    uint low = 0;
    // A branch around the loop: lavapipe 26.1 moves a constant to where it is used first, and what is made in a loop is a
    // variable to it behind the loop. The 1 in here would be one in all that follows.
    if (p.job_count > 1) {
        uint high = p.job_count;
        while (high - low > 1) {
            uint middle = (low + high) / 2;
            if (p.jobs.job[middle].first_group <= group)
                low = middle;
            else
                high = middle;
        }
    }
    return low;
}

#endif
