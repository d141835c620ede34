// SPDX-License-Identifier: MIT
// A plan's insides: schedules, where every object lies, and what recording needs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/device.hpp"
#include "core/push.h"
#include "graph/graph.hpp"
#include "graph/hazards.hpp"
#include "graph/schedule.hpp"
#include "heron/plan.hpp"
#include "heron/state.hpp"

namespace heron {

inline constexpr std::size_t kPhaseCount = 3;
inline constexpr std::array<Phase, kPhaseCount> kPhases{Phase::step, Phase::initialize, Phase::accumulate};

enum class RegionKind : std::uint8_t { state, workspace, tables, readback };
inline constexpr std::size_t kRegionCount = 4;
inline constexpr std::uint64_t kRangeAlignment = 256;  // bytes; of the caller's ranges, and of blocks

// One kind of memory: a linear space, cut into blocks of at most `block_bytes` where the device limits
// buffers.
struct Region {
    std::uint64_t bytes = 0;
    std::uint64_t block_bytes = 0;
    std::vector<BufferRange> blocks;         // empty until memory is bound
    std::vector<VkDeviceAddress> addresses;  // of the blocks
    std::vector<Buffer> owned;               // empty when the caller brought the memory
    bool coherent = true;                    // nothing to flush or invalidate

    VkDeviceAddress address(std::uint64_t offset) const {
        return addresses[offset / block_bytes] + offset % block_bytes;
    }
    std::span<std::byte> mapped(std::uint64_t offset, std::uint64_t bytes) const;
};

using PlanRegions = std::array<Region, kRegionCount>;

struct Location {
    RegionKind region = RegionKind::workspace;
    std::uint64_t offset = 0;
};

// Of a step's recording. `none`: for a step in which no section has its turn.
enum class Sections : std::uint8_t { all, none };

// A phase's schedule with what recording needs beside it.
struct Program {
    DispatchSchedule schedule;
    std::vector<VkPipeline> pipelines;  // per batch; empty until prewarmed
    std::vector<double> cost_ns;        // per dispatch
    // Per object: where a temporary lies in this phase; each phase has the workspace to itself.
    std::vector<std::uint64_t> temporary_offsets;
};

// A state, or an external tensor that is saved like one.
struct SavedTensor {
    std::string name;
    DType dtype;
    Shape shape;
    std::uint64_t bytes;
    VkDeviceAddress address;
    std::vector<std::byte> content;  // what a file holds; empty while saving
};

struct Plan::Impl {
    Impl(const Graph::Impl& graph, const PlanOptions& options);
    ~Impl();

    Device::Impl& vk() const { return graph.device->impl(); }
    Program& program(Phase phase) { return programs[static_cast<std::size_t>(phase)]; }
    const Program& program(Phase phase) const { return programs[static_cast<std::size_t>(phase)]; }
    Region& region(RegionKind kind) { return regions[static_cast<std::size_t>(kind)]; }
    const Region& region(RegionKind kind) const { return regions[static_cast<std::size_t>(kind)]; }

    [[noreturn]] void refuse(const std::string& text) const;  // invalid_argument, with the plan's name
    VkDeviceAddress address(const Tensor& tensor, Phase phase = Phase::step) const;
    std::uint32_t object_named(std::string_view name, ObjectKind kind) const;

    // plan.cpp: sizes, places, pipelines
    void place_objects();
    void require_memory(const char* what) const;
    void require_commands(VkCommandBuffer commands, const char* what) const;
    void require_initialized(const char* what) const;
    void require_no_slice(const char* what) const;

    // plan_memory.cpp
    PlanRegions bound_regions(const PlanMemory& memory) const;
    void refuse_overlaps(const char* what, const PlanRegions& memory,
                         const std::vector<Object>& objects) const;
    void take(PlanRegions memory);
    void write_tables();
    VkDeviceAddress spare_address(const Operation& operation, Phase phase, VkDeviceAddress jobs) const;
    void write_jobs(Phase phase);

    // plan_sections.cpp
    void number_sections();
    gpu::StepControl read_status() const;  // tick and step alone
    void write_status(const gpu::StepControl& control);
    void note_pending_steps();
    // An initialization was recorded, and will write the status.
    void await_status();
    // The host has written the control block: the status is as if a step had.
    void show_control(const gpu::StepControl& control);
    // Whether any may have its turn in the step that is issued next, for all that the host knows.
    bool sections_may_run();
    // What the next step is recorded with, by whoever runs it once and before the steps after it.
    Sections issue_step();

    // plan_record.cpp; what can be told to leave sections out is told so for the step alone.
    void record(VkCommandBuffer commands, Phase phase, std::uint32_t first, std::uint32_t end,
                Sections which = Sections::all);
    void record_clear(VkCommandBuffer commands);
    std::uint64_t submit(Phase phase, const SubmitInfo& info);
    void create_submission_objects();
    VkCommandBuffer commands_for(Phase phase, Sections which = Sections::all);
    std::uint64_t finished_submissions() const;
    void forget_commands() noexcept;

    // plan_timing.cpp
    void create_queries();
    void forget_timings();
    void record_stamp(VkCommandBuffer commands, std::uint32_t query) const;
    void record_stamp_copies(VkCommandBuffer commands, std::uint32_t first, std::uint32_t end,
                             Sections which) const;

    // plan_state.cpp: what save() writes and load() reads, by name
    std::vector<SavedTensor> saved_tensors(std::span<const std::string> externals) const;
    // Checks that the file is what save() wrote for this plan, and brings all of it to the host.
    std::vector<SavedTensor> read_saved(const SafetensorsReader& file,
                                        std::span<const std::string> externals) const;
    void write_saved(const std::vector<SavedTensor>& tensors);

    // plan_describe.cpp
    std::vector<RecordedDispatch> recorded(Phase phase) const;

    Graph::Impl graph;  // a copy: the caller may go on with theirs
    PlanOptions options;
    Domains domains;
    std::array<Program, kPhaseCount> programs;
    PlanRegions regions;
    std::vector<Location> locations;                // per object that is neither external nor temporary
    std::vector<std::uint32_t> section_dispatches;  // indices in the step's program
    std::vector<Section> sections;                  // of those dispatches, each once
    bool has_memory = false;
    bool prewarmed = false;
    bool initialized = false;  // the initialize phase was recorded or submitted, or a checkpoint loaded
    // Next dispatch of a step that is being sliced; slice_pending() may be asked beside record_slice().
    std::atomic<std::uint32_t> cursor{0};

    VkCommandPool pool = VK_NULL_HANDLE;
    std::array<VkCommandBuffer, kPhaseCount + 1> command_buffers{};  // of the phases; a step without sections
    VkSemaphore timeline = VK_NULL_HANDLE;
    // Submissions so far. Whoever sees a ticket's number here sees `timeline` too: finished() and wait() may
    // run beside submit().
    std::atomic<std::uint64_t> submitted{0};
    // Steps begun, by the device's count, once all have that were submitted or recorded to run once.
    std::uint32_t issued = 0;
    bool recorded_one_time = false;  // there are such as the timeline knows nothing of
    bool unseen_steps = false;  // the caller may run what they have recorded at any time, any number of times
    Sections sliced = Sections::all;  // what the step has that is being sliced
    VkQueryPool queries = VK_NULL_HANDLE;
    Buffer stamps;  // what the queries gave when they last ran; 0: not yet
};

// "threads=64 A=bf16 ELEMENTS_SINGLE"; what no table names stays a number.
std::string constants_text(std::span<const SpecConstant> constants);

}  // namespace heron
