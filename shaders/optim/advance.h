// SPDX-License-Identifier: MIT
// What the advance kernel reads: hyperparameter slots, schedule pieces, and its job.
#ifndef HERON_OPTIM_ADVANCE_H
#define HERON_OPTIM_ADVANCE_H

#include "core/push.h"
#include "core/section.h"

HERON_SHARED_BEGIN

// One float of a hyper struct, evaluated at the start of every step. t is the step's number, from 1.
struct HyperSlot {
    uint  kind;        // SLOT_
    float value;
    float log1;        // log(beta1), rounded, and what the rounding lost
    float log1_low;
    float log2;        // log(beta2)
    float log2_low;
    uint  first_piece; // of the schedule
    uint  piece_count; // 0: factor 1
    uint  draws;       // SLOT_CHANCE: where its draws are
};

const uint SLOT_CONSTANT = 0;            // value
const uint SLOT_SCHEDULED = 1;           // value times the schedule's factor
const uint SLOT_INVERSE_CORRECTION = 2;  // 1 / (1 - beta1^(t - value)), t - value at least 1
const uint SLOT_CORRECTION_RATIO = 3;    // sqrt(1 - beta2^t) / (1 - beta1^t)
const uint SLOT_STEP = 4;                // t
const uint SLOT_FIRST = 5;               // 1 in the first step, then value
const uint SLOT_CORRECTION_GROWTH = 6;   // value (1 - beta1^t) / (1 - beta1^(t+1))
const uint SLOT_EXPONENTIAL = 7;         // one draw a step from Exp(1), the same for all optimizers
const uint SLOT_POWER = 8;               // t^value
const uint SLOT_COMPLEMENT = 9;          // 1 - value times the schedule's factor

const uint SLOT_CHANCE = 10;             // 0 with a probability of value times the schedule's factor, else 1
const uint SLOT_COUNTED = 11;            // 0 in every n-th step, n = 1 / that, else the steps since; kept from step to step
const uint SLOT_CORRECTION_EVERY = 12;   // 1 / (1 - beta1^n), n = 1 + t / value, rounded down

// Where in the space of random numbers (linalg/philox.glsl) a step's draws lie: counter (0, step, this, this), those of
// chances (0, step, HyperSlot::draws, this).
const uint STEP_DRAW_STREAM = 0xffffffffu;

struct SchedulePiece {
    uint  kind;      // heron::Schedule::Kind
    uint  steps;     // 0: for ever
    float from;
    float to;
    float log_ratio; // log(to / from), exponential only
    uint  padding;
};

const uint SCHEDULE_CONSTANT = 0;
const uint SCHEDULE_LINEAR = 1;
const uint SCHEDULE_COSINE = 2;
const uint SCHEDULE_EXPONENTIAL = 3;

#ifdef __cplusplus
using StepControlRef = std::uint64_t;
using HyperSlots = std::uint64_t;
using SchedulePieces = std::uint64_t;
using SectionEntries = std::uint64_t;
#else
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer StepControlRef { StepControl c; };
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer HyperSlots { HyperSlot slot[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer SchedulePieces { SchedulePiece piece[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer SectionEntries {
    uint count;
    uint padding[SECTION_TABLE_HEADER_WORDS - 1];
    SectionEntry entry[];
};
#endif

struct AdvanceJob {
    StepControlRef control;
    U32            status;      // for the host: a copy of the control block
    F32            partials;    // of gradient_stats: small, medium, large sum, bits of the non-finite count
    HyperSlots     slots;
    SchedulePieces pieces;
    F32            values;      // of the slots
    SectionEntries sections;
    U32            arguments;   // of the sections' indirect dispatches
    uint  partial_count;
    uint  slot_count;
    uint  mode;                 // ADVANCE_MODE_
    uint  flags;                // ADVANCE_
    float clip_norm;            // 0: none
    float clip_value;           // always a positive number
    float initial_loss_scale;
    float growth;
    float backoff;
    uint  growth_interval;
    uint  seed;
    uint  first_group;
};

const uint ADVANCE_MODE_STEP = 0;
const uint ADVANCE_MODE_INITIALIZE = 1;
const uint ADVANCE_MODE_ACCUMULATE = 2;

const uint ADVANCE_SKIP_NONFINITE = 1;
const uint ADVANCE_DYNAMIC_LOSS_SCALE = 2;
const uint ADVANCE_ACCUMULATES = 4; // gradients are sums of micro-batches
const uint ADVANCE_SECTIONS = 8;    // sections and arguments are there
const uint ADVANCE_KEEPS_VALUES = 16; // from step to step: a skipped one leaves them as they are

HERON_SHARED_END

#endif
