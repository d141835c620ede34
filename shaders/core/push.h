// SPDX-License-Identifier: MIT
// What every kernel of Heron is given: the push constants and the step's control block.
#ifndef HERON_CORE_PUSH_H
#define HERON_CORE_PUSH_H

#include "core/shared.h"

HERON_SHARED_BEGIN

// Written by the advance kernel at the start of a step, read by the kernels of the step. All zero at first, except what
// the initialize phase sets. One 32-bit word a member; saved in checkpoints as it is.
struct StepControl {
    uint  tick;               // steps begun, skipped ones included
    uint  step;               // steps done, the current one included (first step: 1)
    uint  skip;               // 1: the current step changes nothing
    uint  skipped;            // steps skipped so far
    uint  nonfinite;          // non-finite gradient elements in the current step (saturating)
    float gradient_scale;     // multiplies every gradient: 1 / loss scale, 1 / micro-batches, clipping by norm
    float clip_value;         // then every gradient is clamped to [-clip_value, clip_value]
    float gradient_norm;      // global norm of the unscaled gradients (after 1 / loss scale), before clipping
    float loss_scale;         // what the caller's backward pass multiplied the loss with
    uint  good_steps;         // since the loss scale last changed
    uint  micro_batches;      // accumulated since the last step
    uint  seed;               // of the counter-based random streams
    float unscale;            // 1 / the loss scale that the current step's gradients have been multiplied with
    uint  reserved1;
    uint  reserved2;
    uint  reserved3;
};

const uint FLAG_GUARDED = 1; // Push::flags: the kernel returns at once when control.skip is set

#ifdef __cplusplus
using Jobs = std::uint64_t;    // device address of the kernel's jobs
using Control = std::uint64_t; // device address of a StepControl
#else
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Jobs; // core/kernel.glsl, which knows JOB
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer Control { StepControl c; };
#endif

struct Push {
    Jobs    jobs;
    Control control;      // the step's control block where there is one; else any readable bytes, but never null:
                          // lavapipe 26.1 reads control.skip before it looks at the flag
    uint    job_count;
    uint    group_offset; // added to the workgroup index: a long dispatch is split into several
    uint    flags;        // FLAG_
    uint    group_end;    // first workgroup index that is not part of this dispatch
};

HERON_SHARED_END

#endif
