// SPDX-License-Identifier: MIT
// A compiled graph: a list of dispatches that can be recorded, replayed, submitted and sliced.
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heron/device.hpp"
#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

struct PlanOptions {
    std::string name = "plan";  // for debug names, labels and errors
    // Timestamps around every dispatch, see Plan::timings(); in a small buffer of the device's beside the
    // plan's memory.
    bool profile = false;
    // Bigger dispatches are split, so that no weak GPU meets its watchdog. Above 0; infinity: no limit.
    double max_dispatch_flops = 4e9;
    double max_dispatch_bytes = 1073741824.0;
};

// Memory for Plan::bind. Offsets are multiples of 256 bytes. Of each range the plan uses the first
// ..._bytes(), which overlap neither those of another range nor an external tensor of the graph.
struct PlanMemory {
    BufferRange state;  // at least state_bytes(); lives as long as the training
    // At least workspace_bytes(). Plans that do not run at the same time may share it; a plan runs until the
    // last slice of its step has finished.
    BufferRange workspace;
    BufferRange tables;    // at least table_bytes(); mapped and coherent
    BufferRange readback;  // at least readback_bytes(); mapped and coherent
};

struct SemaphoreValue {
    VkSemaphore semaphore = VK_NULL_HANDLE;  // timeline
    std::uint64_t value = 0;
};

struct SubmitInfo {
    std::span<const SemaphoreValue> wait;
    std::span<const SemaphoreValue> signal;
    // Called instead of Heron's own vkQueueSubmit2, so that an engine keeps its queue to itself; returns its
    // result.
    std::function<VkResult(const VkSubmitInfo2&)> submit;
};

// How much of a step one slice may hold; whichever is reached first. At least one dispatch is always
// recorded.
struct SliceBudget {
    std::uint32_t max_dispatches = 0xffffffff;
    // By the plan's costs: measured when there are timings, else estimated. Above 0; infinity: no limit.
    double max_ns = 1e30;
    // By what the operations state. Above 0; infinity: no limit. Of sections that are recorded, in both, as
    // if all of them ran: which of them do is decided on the GPU.
    double max_flops = 1e300;
    // All slices of the step run exactly once: sections are left out as by Plan::record_one_time(). The
    // step's first slice decides.
    bool one_time = false;
};

struct SliceResult {
    bool complete = false;  // the step's last dispatch is recorded
    std::uint32_t dispatches = 0;
    double expected_ns = 0;
};

// What operations state that they do (Operation::flops, Operation::bytes): a figure to compare by, nothing
// measured.
struct StepCost {
    double flops = 0;
    double bytes = 0;  // of memory traffic
};

// GPU time of one dispatch.
struct DispatchTiming {
    std::string stage;
    std::string kernel;
    double ns = 0;
};

// Threads: different plans may be used from different threads at the same time, also on the same device. One
// plan is changed by one thread at a time. Its const functions may run beside each other; beside a function
// that changes the plan only finished(), wait() and slice_pending() may, moving and destroying it excepted.
class HERON_API Plan {
public:
    Plan();  // empty; assign a compiled one, everything else refuses (invalid_argument)
    Plan(Plan&&) noexcept;
    Plan& operator=(Plan&&) noexcept;
    ~Plan();  // the last submission that uses the plan must have finished

    // --- Needs, known before anything is allocated (bytes) ---
    std::uint64_t state_bytes() const;      // must outlive the plan's steps
    std::uint64_t workspace_bytes() const;  // temporaries
    std::uint64_t table_bytes() const;      // host-visible: job arrays and settings
    std::uint64_t readback_bytes() const;   // host-visible: status

    // --- Set-up, once ---
    // Compiles every pipeline of the plan. allocate() and bind() do it too; recording never does.
    void prewarm();
    // Takes memory of the device or of its callbacks; refused, with need and budget, before any is taken.
    // Like bind(), it also makes what submissions need: a semaphore, and command buffers that hold the step.
    void allocate();
    // Uses the caller's memory. Throws (invalid_argument), and changes nothing, naming the range that is too
    // small, misaligned, not mapped, or without the device-address flag, with need and offer; or the two
    // ranges that overlap.
    void bind(const PlanMemory& memory);
    // Zeroes the state and runs the initialize phase; a plan with states refuses to run before. Records it
    // (the caller submits it before the first step) ...
    void record_initialize(VkCommandBuffer commands);
    // ... or submits it on the device's queue and waits.
    void initialize();
    // Moves external tensors: same dtype, shape and stride. Those that share memory move in one call and keep
    // their distances. Throws (invalid_argument), and changes nothing, where tensors would overlap otherwise
    // than before, or lie in the plan's own memory. No submission that uses the plan may be in flight, and no
    // step be begun and not complete.
    struct Rebinding {
        std::string_view name;
        TensorView view;
    };
    void rebind(std::span<const Rebinding> bindings);

    // --- Running ---
    // Records one step into a primary or secondary command buffer in the recording state. Allocates nothing,
    // submits nothing, waits for nothing, compiles nothing; the commands can be executed any number of times.
    // Before: what the step reads is written and visible to compute shaders. The first command is a barrier
    // from compute writes to compute, so steps that follow each other in submission order need no other.
    // After: what it wrote is visible to compute shaders, transfers and the host.
    void record(VkCommandBuffer commands);
    // The same for commands that run exactly once, in the order of the calls that record and submit steps,
    // and before a later initialize(), load() or write_state(). Where the device's status, and the steps that
    // it has yet to do, rule out that any section has its turn, none is recorded: the same bits without a
    // refresh's barriers, of which it may have thousands. Heron does not see commands run: with such as may
    // run again (record(), record_slice() without `one_time`, record_initialize() while steps are pending)
    // all sections are recorded from then on, and every step that is recorded and dropped makes it more
    // careful.
    void record_one_time(VkCommandBuffer commands);
    // Adds the current gradients to the accumulators (StepOptions::accumulate). Before and after: as
    // record().
    void record_accumulate(VkCommandBuffer commands);
    // Records the next part of the step; goes on where the last slice stopped, bit-identical to the whole
    // step. The slices of a step must run in order, and the step's inputs stay unchanged until it is
    // complete; the accumulators are inputs too, and what record_accumulate() recorded before the step must
    // not run within it (Heron refuses to record it then, but cannot see an old recording run).
    SliceResult record_slice(VkCommandBuffer commands, const SliceBudget& budget);
    bool slice_pending() const;  // a step has been begun and not completed

    // Submits the recorded step on the device's queue; returns a ticket for wait(). Allocates nothing,
    // creates nothing. Leaves sections out as record_one_time() does. Throws (unsupported) on a device
    // adopted without a queue and no SubmitInfo::submit.
    std::uint64_t submit(const SubmitInfo& info = {});
    std::uint64_t submit_accumulate(const SubmitInfo& info = {});
    bool finished(std::uint64_t ticket) const;
    // Throws (timeout, device_lost).
    void wait(std::uint64_t ticket, std::uint64_t timeout_ns = 60'000'000'000) const;
    void run() { wait(submit()); }

    // --- Looking inside ---
    // Stages, kernels and variants with the reason for each choice, dispatches, barriers, bytes, FLOPs: of
    // what runs in every step, and apart from it of what runs in some steps only (sections: refreshes of
    // roots, of bases), all of it together, in the mean, and in the step that takes most; of an optimizer's
    // refreshes how many fall into which steps.
    std::string describe() const;
    std::uint32_t dispatch_count(Phase phase = Phase::step) const;
    std::uint32_t level_count(Phase phase = Phase::step) const;  // barriers + 1
    // Of an ordinary step: what runs in every step, without sections.
    double flops() const;
    double bytes() const;
    // Of one step, counted from 1 without those that were skipped, with the sections whose turn it is: the
    // dearest step is the largest of them. What a gate may leave out (chance, a count) is in it. Throws
    // (invalid_argument) for step 0.
    StepCost cost(std::uint32_t step) const;
    // GPU time of each dispatch of the last finished step, barriers before it included, the time between
    // slices not. Needs PlanOptions::profile; empty before the first step, and while only some slices of a
    // step have run. The figures become the costs that time budgets use; what a step left out, because it was
    // skipped or a section's turn had not come, keeps at least the cost that it had. 0 for sections that
    // were not recorded.
    std::vector<DispatchTiming> timings();
    // Every pair of dispatches that touch the same bytes, one of them writing, with no barrier between them:
    // empty, or Heron is wrong. Needs bound memory.
    std::vector<std::string> hazards() const;

    // --- State ---
    struct StateEntry {
        std::string name;
        DType dtype;
        Shape shape;
    };
    std::vector<StateEntry> states() const;
    // Blocking copies; no submission that uses the plan may be in flight. Nothing is written into a step that
    // is begun and not complete (invalid_argument). "heron.control" has the number of steps: whoever changes
    // it does it here, since Heron does not see what commands of the caller's write.
    void read_state(std::string_view name, std::span<std::byte> to) const;
    void write_state(std::string_view name, std::span<const std::byte> from);
    TensorView state_view(std::string_view name) const;
    // Saves the external tensors named in `externals` (parameters), every state, and `metadata`, as
    // safetensors, with a hash of all of it ("heron.hash" in the file's metadata).
    void save(const std::filesystem::path& path, std::span<const std::string> externals,
              const std::map<std::string, std::string>& metadata = {}) const;
    // Loads what save() wrote. Nothing is changed before the whole file is in host memory and its names,
    // dtypes and shapes (invalid_argument) and its hash (corrupt_file) are found right. Returns the metadata.
    std::map<std::string, std::string> load(const std::filesystem::path& path,
                                            std::span<const std::string> externals);

    // Mapped memory of Graph::table and Graph::readback tensors. Aligned 32-bit words are read and written
    // whole; a step in flight may see either value. These and view() throw (invalid_argument) for tensors of
    // another graph.
    std::span<const std::byte> table(const Tensor& tensor) const;
    void write_table(const Tensor& tensor, std::span<const std::byte> bytes, std::uint64_t byte_offset = 0);
    std::span<const std::byte> readback(const Tensor& tensor) const;
    // Where a tensor lies; temporaries: valid during the step only.
    TensorView view(const Tensor& tensor) const;

    const Device& device() const;

    struct Impl;
    Impl& impl() const;

private:
    friend class Graph;
    explicit Plan(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace heron
