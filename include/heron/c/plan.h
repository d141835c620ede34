// SPDX-License-Identifier: MIT
// Plans: a compiled training step (heron_compile(), c/train.h) that can be recorded, replayed, submitted and
// sliced.
//
// Threads: different plans may be used from different threads at the same time, also on the same device. One
// plan is changed by one thread at a time. Functions that take a const heron_plan* may run beside each other;
// beside one that changes the plan only heron_plan_finished(), heron_plan_wait() and
// heron_plan_slice_pending() may, heron_plan_destroy() excepted.
#pragma once

#include "heron/c/types.h"

#ifdef __cplusplus
extern "C" {
#endif

// Does not wait: the last submission that uses the plan must have finished.
HERON_API void heron_plan_destroy(heron_plan* plan);

// --- Needs, known before anything is allocated (bytes); 0 for NULL

HERON_API uint64_t heron_plan_state_bytes(const heron_plan* plan);      // must outlive the plan's steps
HERON_API uint64_t heron_plan_workspace_bytes(const heron_plan* plan);  // temporaries
HERON_API uint64_t heron_plan_table_bytes(const heron_plan* plan);      // host-visible: job arrays and settings
HERON_API uint64_t heron_plan_readback_bytes(const heron_plan* plan);   // host-visible: status

// --- Set-up, once

// Compiles every pipeline of the plan. allocate and bind do it too; recording never does.
HERON_API heron_result heron_plan_prewarm(heron_plan* plan);
// Takes the memory from the device (its allocator or the caller's callbacks). Like bind, it also makes what
// submissions need: a semaphore, and command buffers that hold the step.
HERON_API heron_result heron_plan_allocate(heron_plan* plan);
// Uses the caller's memory. Fails (HERON_ERROR_INVALID_ARGUMENT), and changes nothing, naming the range that
// is too small, misaligned, not mapped, or without the device-address flag, with need and offer; or the two
// ranges that overlap.
HERON_API heron_result heron_plan_bind(heron_plan* plan, const heron_plan_memory* memory);
// Zeroes the state and writes its first values; a plan with states refuses to run before. Records it (the
// caller submits it before the first step) ...
HERON_API heron_result heron_plan_record_initialize(heron_plan* plan, VkCommandBuffer commands);
// ... or submits it on the device's queue and waits.
HERON_API heron_result heron_plan_initialize(heron_plan* plan);

// Where an external tensor is from now on.
typedef struct heron_rebinding {
    const char* name;  // of an external tensor: <parameter>, <parameter>.grad, <weight>.inputs, ...
    heron_tensor_view view;
} heron_rebinding;
// Moves external tensors: same dtype, shape and stride. Those that share memory move in one call and keep
// their distances. Fails (HERON_ERROR_INVALID_ARGUMENT), and changes nothing, where tensors would overlap
// otherwise than before, or lie in the plan's own memory. No submission that uses the plan may be in flight,
// and no step be begun and not complete.
HERON_API heron_result heron_plan_rebind(heron_plan* plan, const heron_rebinding* bindings, uint32_t count);

// --- Running

// Records one step into a primary or secondary command buffer in the recording state. Allocates nothing,
// submits nothing, waits for nothing, compiles nothing; the commands can be executed any number of times.
// Before: what the step reads is written and visible to compute shaders. The first command is a barrier from
// compute writes to compute, so steps that follow each other in submission order need no other.
// After: what it wrote is visible to compute shaders, transfers and the host.
HERON_API heron_result heron_plan_record(heron_plan* plan, VkCommandBuffer commands);
// The same for commands that run exactly once, in the order of the calls that record and submit steps, and
// before a later heron_plan_initialize(), heron_plan_load() or heron_plan_write_state(). Where the device's
// status, and the steps that it has yet to do, rule out that any section has its turn, none is recorded: the
// same bits without a refresh's barriers, of which it may have thousands. Heron does not see commands run:
// with such as may run again (heron_plan_record(), heron_plan_record_slice() without `one_time`,
// heron_plan_record_initialize() while steps are pending) all sections are recorded from then on, and every
// step that is recorded and dropped makes it more careful.
HERON_API heron_result heron_plan_record_one_time(heron_plan* plan, VkCommandBuffer commands);
// Adds the current gradients to the accumulators (heron_step_options.accumulate). Before and after: as
// heron_plan_record().
HERON_API heron_result heron_plan_record_accumulate(heron_plan* plan, VkCommandBuffer commands);
// Records the next part of the step; goes on where the last slice stopped, bit-identical to the whole step.
// The slices of a step must run in order, and the step's inputs stay unchanged until it is complete; the
// accumulators are inputs too, and what heron_plan_record_accumulate() recorded before the step must not run
// within it. `budget` may be NULL: all that is left, of a step that may run again; `result` may be NULL.
HERON_API heron_result heron_plan_record_slice(heron_plan* plan, VkCommandBuffer commands,
                                               const heron_slice_budget* budget, heron_slice_result* result);
// A step has been begun and not completed; false for NULL.
HERON_API bool heron_plan_slice_pending(const heron_plan* plan);

// What a submission waits for and signals, and how it is made.
typedef struct heron_submit_info {
    heron_struct header;  // by heron_submit_info_init()
    uint32_t wait_count;
    const heron_semaphore_value* wait;
    uint32_t signal_count;
    const heron_semaphore_value* signal;
    // Not NULL: called instead of Heron's own vkQueueSubmit2, so that an engine keeps its queue to itself;
    // returns its result.
    VkResult (*submit)(void* user, const VkSubmitInfo2* info);
    void* submit_user;  // passed to it
} heron_submit_info;

HERON_API heron_result heron_init_submit_info(heron_submit_info* options, size_t bytes, uint32_t version);
static inline heron_result heron_submit_info_init(heron_submit_info* options) {
    return heron_init_submit_info(options, sizeof *options, HERON_VERSION);
}

// Submits the recorded step on the device's queue. `info` may be NULL; `ticket`, for heron_plan_wait(), too.
// Allocates nothing, creates nothing. Leaves sections out as heron_plan_record_one_time() does. Fails
// (HERON_ERROR_UNSUPPORTED) on a device adopted without a queue and no `submit`.
HERON_API heron_result heron_plan_submit(heron_plan* plan, const heron_submit_info* info, uint64_t* ticket);
HERON_API heron_result heron_plan_submit_accumulate(heron_plan* plan, const heron_submit_info* info,
                                                    uint64_t* ticket);
HERON_API heron_result heron_plan_finished(const heron_plan* plan, uint64_t ticket, bool* finished);
// Fails (HERON_ERROR_TIMEOUT, HERON_ERROR_DEVICE_LOST).
HERON_API heron_result heron_plan_wait(const heron_plan* plan, uint64_t ticket, uint64_t timeout_ns);
// Submits and waits, for a minute at most.
HERON_API heron_result heron_plan_run(heron_plan* plan);

// --- Looking inside

// Stages, kernels and variants with the reason for each choice, dispatches, barriers, bytes, FLOPs. Text: see
// c/base.h.
HERON_API heron_result heron_plan_describe(const heron_plan* plan, char* text, size_t* bytes);
// 0 for NULL.
HERON_API uint32_t heron_plan_dispatch_count(const heron_plan* plan, heron_phase phase);
HERON_API uint32_t heron_plan_level_count(const heron_plan* plan, heron_phase phase);  // barriers + 1
// Of what runs in every step.
HERON_API double heron_plan_flops(const heron_plan* plan);
HERON_API double heron_plan_bytes(const heron_plan* plan);
// FLOPs and bytes of memory traffic of that step, from 1, whose refreshes and the like have their turn. Either
// pointer may be NULL.
HERON_API heron_result heron_plan_cost(const heron_plan* plan, uint32_t step, double* flops, double* bytes);

// GPU time of one dispatch. Its texts belong to the plan.
typedef struct heron_dispatch_timing {
    const char* stage;
    const char* kernel;
    double ns;
} heron_dispatch_timing;
// GPU time of each dispatch of the last finished step, barriers before it included, the time between slices
// not. Needs heron_plan_options.profile; none before the first step, and while only some slices of a step have
// run; 0 for sections that were not recorded. The figures become the costs that time budgets use. `timings`
// belongs to the plan, until the next call.
HERON_API heron_result heron_plan_timings(heron_plan* plan, uint32_t* count,
                                          const heron_dispatch_timing** timings);
// Every pair of dispatches that touch the same bytes, one of them writing, with no barrier between them, one a
// line: empty, or Heron is wrong. Needs bound memory. Text: see c/base.h.
HERON_API heron_result heron_plan_hazards(const heron_plan* plan, char* text, size_t* bytes);

// --- State

// A tensor that the optimizers keep between steps.
typedef struct heron_state_entry {
    const char* name;  // belongs to the plan
    heron_dtype dtype;
    heron_shape shape;
} heron_state_entry;
HERON_API uint32_t heron_plan_state_count(const heron_plan* plan);  // 0 for NULL
// Fails (HERON_ERROR_INVALID_ARGUMENT) for an index that is not below the count.
HERON_API heron_result heron_plan_get_state(const heron_plan* plan, uint32_t index, heron_state_entry* entry);
// Blocking copies of a whole state; no submission that uses the plan may be in flight. Nothing is written into
// a step that is begun and not complete (HERON_ERROR_INVALID_ARGUMENT).
HERON_API heron_result heron_plan_read_state(const heron_plan* plan, const char* name, void* to, size_t bytes);
HERON_API heron_result heron_plan_write_state(heron_plan* plan, const char* name, const void* from, size_t bytes);
HERON_API heron_result heron_plan_state_view(const heron_plan* plan, const char* name, heron_tensor_view* view);

// --- Files. Paths are UTF-8.

// Texts that are saved beside tensors.
typedef struct heron_metadata_entry {
    const char* key;  // must not begin with "heron."
    const char* value;
} heron_metadata_entry;

// What a file held of them, in the order of keys. Texts belong to the object.
HERON_API void heron_metadata_destroy(heron_metadata* metadata);
HERON_API uint32_t heron_metadata_count(const heron_metadata* metadata);
HERON_API heron_result heron_metadata_get(const heron_metadata* metadata, uint32_t index,
                                          heron_metadata_entry* entry);
HERON_API const char* heron_metadata_find(const heron_metadata* metadata, const char* key);  // or NULL

// Saves the external tensors named in `externals` (parameters), every state, and `metadata`, as safetensors,
// with a hash of all of it. (A training is saved by heron_save_checkpoint().)
HERON_API heron_result heron_plan_save(const heron_plan* plan, const char* path, const char* const* externals,
                                       uint32_t external_count, const heron_metadata_entry* metadata,
                                       uint32_t metadata_count);
// Loads what heron_plan_save() wrote. Nothing is changed before the whole file is in host memory and its
// names, dtypes and shapes (HERON_ERROR_INVALID_ARGUMENT) and its hash (HERON_ERROR_CORRUPT_FILE) are found
// right. `metadata` may be NULL; else it gives out what the file has.
HERON_API heron_result heron_plan_load(heron_plan* plan, const char* path, const char* const* externals,
                                       uint32_t external_count, heron_metadata** metadata);

#ifdef __cplusplus
}
#endif
