// SPDX-License-Identifier: MIT
// Renders frames, with the training in one of four ways, or without it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "frames.hpp"
#include "heron_cost.hpp"
#include "heron_memory.hpp"
#include "scene.hpp"
#include "training.hpp"

enum class Mode : std::uint8_t {
    none,       // no training
    record,     // the step is recorded into each frame's command buffer
    secondary,  // recorded once, as a secondary command buffer, and executed in each frame
    async,   // submitted to the compute queue, beside the frame that draws what the step before has learned
    slices,  // as much of a step in each frame as a budget of time allows
};
struct ModeText {
    Mode mode;
    std::string_view name;
    std::string_view text;
};
inline constexpr ModeText kModes[] = {
    {Mode::none, "none", "no training"},
    {Mode::record, "record", "the step in the frame's command buffer"},
    {Mode::secondary, "secondary", "a secondary command buffer, recorded once"},
    {Mode::async, "async", "the step in the compute queue, beside the frame"},
    {Mode::slices, "slices", "so much of a step in each frame as the budget allows"},
};

struct LoopOptions {
    std::uint32_t frames = 0;
    // Of GPU time for a frame's slice, in microseconds; 0: a quarter of a whole step's.
    double budget_us = 0;
};

struct LoopResult {
    Mode mode = Mode::none;
    std::uint32_t steps = 0;
    std::uint32_t skipped = 0;
    double budget_us = 0;           // of slices; 0: counted in dispatches, since the device has no timestamps
    std::vector<double> frame_ms;   // from the beginning of one frame to that of the next
    std::vector<double> heron_us;   // of host time in Heron, per frame
    std::uint64_t allocations = 0;  // in Heron: by operator new ...
    std::uint64_t host_allocations = 0;         // ... by the VkAllocationCallbacks that it was given
    std::uint64_t device_allocations = 0;       // ... and of device memory, by anybody
    std::uint64_t pipelines = 0;                // asked of Vulkan by Heron after the first frame began
    std::vector<Training::Snapshot> snapshots;  // after 1, 2, 4, ... steps
    float last_loss = 0;
};

class FrameLoop {
public:
    // Uses the training, whose restart() this calls, and the scene once.
    FrameLoop(const Context& context, DeviceMemory& memory, const HeronMemory& heron_memory,
              const HostAllocator& host, Training& training, const LoopOptions& options);
    FrameLoop(const FrameLoop&) = delete;
    FrameLoop& operator=(const FrameLoop&) = delete;
    ~FrameLoop();

    // From the first weights; waits until all of it has finished.
    LoopResult run(Mode mode);
    // The last picture; see Scene::record_copy.
    void read_picture(const heron::BufferRange& pixels);

private:
    // Each trains as far as its mode goes in a frame, and returns what Frames::end() has to wait for.
    std::uint64_t train(Mode mode, Frame& frame);
    void train_recorded(Frame& frame);
    void train_secondary(Frame& frame);
    std::uint64_t train_async(Frame& frame);
    void train_slice(Frame& frame);

    template <class After>
    void run_steps(const After& after);
    void warm_up();
    void record_secondary();
    double choose_budget();

    const Context& context_;
    const HeronMemory& heron_memory_;
    const HostAllocator& host_;
    Training& training_;
    const LoopOptions options_;
    Frames frames_;
    Scene scene_;
    VkCommandPool secondary_pool_;
    VkCommandBuffer secondary_;
    heron::SliceBudget slice_;
    HeronCost cost_;
    std::uint32_t steps_ = 0;          // complete
    std::uint32_t shown_ = 0;          // the step whose weights are drawn
    std::uint64_t last_reader_[2]{};   // of published(0) and published(1): value of the graphics timeline
    std::uint64_t trained_value_ = 0;  // of the compute timeline, after steps_
};
