// SPDX-License-Identifier: MIT
// The renderer's frames: two of them in flight, each with its command buffers, and the timeline semaphores of
// both queues.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "context.hpp"

// One submission: a command buffer, and at most one value waited for and one signalled.
class Batch {
public:
    explicit Batch(VkCommandBuffer commands) : commands_{.commandBuffer = commands} {
        commands_.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
    }
    Batch& wait(const Timeline& timeline, std::uint64_t value, VkPipelineStageFlags2 stages) {
        wait_ = semaphore(timeline, value, stages);
        waits_ = value > 0 ? 1 : 0;
        return *this;
    }
    Batch& signal(const Timeline& timeline) {
        signal_ = semaphore(timeline, timeline.value, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT);
        signals_ = 1;
        return *this;
    }
    VkSubmitInfo2 info() const {  // refers to this object
        return {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
                .waitSemaphoreInfoCount = waits_,
                .pWaitSemaphoreInfos = &wait_,
                .commandBufferInfoCount = 1,
                .pCommandBufferInfos = &commands_,
                .signalSemaphoreInfoCount = signals_,
                .pSignalSemaphoreInfos = &signal_};
    }

private:
    static VkSemaphoreSubmitInfo semaphore(const Timeline& timeline, std::uint64_t value,
                                           VkPipelineStageFlags2 stages) {
        return {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
                .semaphore = timeline.semaphore,
                .value = value,
                .stageMask = stages};
    }

    VkCommandBufferSubmitInfo commands_;
    VkSemaphoreSubmitInfo wait_{};
    VkSemaphoreSubmitInfo signal_{};
    std::uint32_t waits_ = 0;
    std::uint32_t signals_ = 0;
};

struct Frame {
    VkCommandPool draw_pool = VK_NULL_HANDLE;   // of the graphics family
    VkCommandPool train_pool = VK_NULL_HANDLE;  // of the compute family
    VkCommandBuffer draw = VK_NULL_HANDLE;
    VkCommandBuffer backward = VK_NULL_HANDLE;  // what comes before Heron's step in the compute queue ...
    VkCommandBuffer publish = VK_NULL_HANDLE;   // ... and after it
    std::uint64_t drawn = 0;                    // values of the timelines when its submissions have finished
    std::uint64_t trained = 0;
};

class Frames {
public:
    explicit Frames(const Context& context);
    Frames(const Frames&) = delete;
    Frames& operator=(const Frames&) = delete;
    ~Frames();

    // Waits until the frame before the last has finished; its command buffers are this one's, empty.
    Frame& begin();
    // Submits draw, ended here, behind what the compute queue has reached at `trained` (0: nothing); and goes
    // on to the next frame.
    void end(Frame& frame, std::uint64_t trained = 0);

    void record(VkCommandBuffer commands) const;  // begins it, for one submission
    void finish(VkCommandBuffer commands) const;
    // Records and submits something, and waits for it: for set-up.
    template <class Record>
    void once(const Queue& queue, const Record& record) {
        const Frame& frame = frames_[0];
        context_.wait_idle();
        reset(frame);
        const VkCommandBuffer commands =
            queue.handle == context_.graphics().handle ? frame.draw : frame.backward;
        this->record(commands);
        record(commands);
        finish(commands);
        const Batch batch(commands);
        const VkSubmitInfo2 info = batch.info();
        samples::check(submit(queue, {&info, 1}), "vkQueueSubmit2");
        context_.wait_idle();
    }
    VkResult submit(const Queue& queue, std::span<const VkSubmitInfo2> batches) const;

    Timeline& graphics() { return graphics_; }
    Timeline& compute() { return compute_; }

private:
    void reset(const Frame& frame) const;

    const Context& context_;
    std::array<Frame, 2> frames_;
    std::size_t next_ = 0;
    Timeline graphics_;
    Timeline compute_;
};

VkCommandPool create_pool(const Context& context, std::uint32_t family);
VkCommandBuffer allocate_commands(const Context& context, VkCommandPool pool,
                                  VkCommandBufferLevel level = VK_COMMAND_BUFFER_LEVEL_PRIMARY);
