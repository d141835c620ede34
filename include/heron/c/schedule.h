// SPDX-License-Identifier: MIT
// Schedules: a factor on a rate as a function of the step (first step: 1), evaluated on the GPU. Values: they
// are copied with the options that hold them, and nothing needs to be destroyed.
//
//   heron_schedule_linear(&options.schedule, 0, 1, 100);
//   heron_schedule_then_cosine(&options.schedule, 0.1f, 900);
//
// Threads: all functions may be called from any thread; two at a time not for the same schedule.
#pragma once

#include "heron/c/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HERON_SCHEDULE_PIECES 8

// How a piece goes from one factor to another.
typedef enum heron_schedule_kind {
    HERON_SCHEDULE_KIND_CONSTANT = 0,
    HERON_SCHEDULE_KIND_LINEAR = 1,
    HERON_SCHEDULE_KIND_COSINE = 2,
    HERON_SCHEDULE_KIND_EXPONENTIAL = 3,
    HERON_SCHEDULE_KIND_MAX_ENUM = 0x7fffffff  // makes it 32 bits wide; no value
} heron_schedule_kind;

// A part of a schedule.
typedef struct heron_schedule_piece {
    heron_schedule_kind kind;
    uint32_t steps;  // how long; 0 = for ever
    float from;      // factor at the piece's first step
    float to;        // factor one step after its last
} heron_schedule_piece;

// Pieces that follow each other; after the last one its final factor stays. Each begins where the one before
// ended; only constant pieces of one step at the beginning may jump (heron_schedule_sequence()).
typedef struct heron_schedule {
    uint32_t piece_count;  // 0: factor 1 for ever
    heron_schedule_piece pieces[HERON_SCHEDULE_PIECES];
    // Not NULL: all of the pieces are here instead. Borrowed until the call that takes the schedule returns.
    const heron_schedule_piece* piece_list;
} heron_schedule;

// All fail (HERON_ERROR_INVALID_ARGUMENT), and leave `schedule` as it was, for factors that are not finite or
// below 0, pieces without steps, pieces after one that lasts for ever, and more than HERON_SCHEDULE_PIECES.

// One piece, in place of what `schedule` was.
HERON_API heron_result heron_schedule_constant(heron_schedule* schedule, float factor, uint32_t steps);
HERON_API heron_result heron_schedule_linear(heron_schedule* schedule, float from, float to, uint32_t steps);
HERON_API heron_result heron_schedule_cosine(heron_schedule* schedule, float from, float to, uint32_t steps);
// Both factors above 0.
HERON_API heron_result heron_schedule_exponential(heron_schedule* schedule, float from, float to,
                                                  uint32_t steps);
// The factors of the first `count` steps, one by one; the last one stays. `storage` has room for `count`
// pieces, is filled, and stays until the schedule has been used; NULL, where they are at most
// HERON_SCHEDULE_PIECES.
HERON_API heron_result heron_schedule_sequence(heron_schedule* schedule, const float* factors, uint32_t count,
                                               heron_schedule_piece* storage);
// Linear warm-up from 0, then cosine to `final_factor` at `total` steps.
HERON_API heron_result heron_schedule_warmup_cosine(heron_schedule* schedule, uint32_t warmup, uint32_t total,
                                                    float final_factor);
// Warm-up, stable, linear decay to `final_factor` over the last `decay` of `total` steps.
HERON_API heron_result heron_schedule_warmup_stable_decay(heron_schedule* schedule, uint32_t warmup,
                                                          uint32_t total, uint32_t decay, float final_factor);

// Append a piece that starts at the present final factor.
HERON_API heron_result heron_schedule_then_constant(heron_schedule* schedule, uint32_t steps);
HERON_API heron_result heron_schedule_then_linear(heron_schedule* schedule, float to, uint32_t steps);
HERON_API heron_result heron_schedule_then_cosine(heron_schedule* schedule, float to, uint32_t steps);
HERON_API heron_result heron_schedule_then_exponential(heron_schedule* schedule, float to, uint32_t steps);

// The factor at a step (from 1), in float64; what the GPU computes, to f32 rounding.
HERON_API heron_result heron_schedule_factor(const heron_schedule* schedule, uint64_t step, double* factor);

#ifdef __cplusplus
}
#endif
