// SPDX-License-Identifier: MIT
// What the layers above core use of a device: functions, memory, pipelines, submission, names.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.hpp"
#include "core/features.hpp"
#include "core/instance.hpp"
#include "core/loader.hpp"
#include "core/memory.hpp"
#include "core/pipelines.hpp"
#include "core/probe.hpp"
#include "heron/device.hpp"

namespace heron {

struct Device::Impl {
    Impl() = default;
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    Instance instance;  // first: destroyed last
    FunctionTable vk;   // with the functions of this device
    VkPhysicalDevice physical_device = VK_NULL_HANDLE;
    VkDevice device = VK_NULL_HANDLE;
    VkQueue queue = VK_NULL_HANDLE;
    std::uint32_t queue_family = 0;
    // That share Heron's buffers, queue_family among them; empty for a device of Heron's own.
    std::vector<std::uint32_t> queue_families;
    bool owns_device = false;
    const VkAllocationCallbacks* allocator = nullptr;

    std::uint64_t id = 0;  // unique in the process and never used again: tells objects of another device
    DeviceInfo info;
    Capabilities capabilities;
    std::vector<CooperativeMatrixShape> cooperative_matrix_shapes;
    std::uint32_t cooperative_matrix2_features = 0;  // bits of Features::cooperative_matrix2
    bool one_subgroup_size = false;                  // there is no other, so that none need be asked for
    // SwiftShader compiles both sides of branches on specialization constants, and goes both ways: a product
    // of 512 x 512 x 512 takes five times as long as with plain constants.
    bool keeps_constants_open = false;
    VkPhysicalDeviceLimits limits{};
    std::uint32_t driver_version = 0;
    std::array<std::uint8_t, VK_UUID_SIZE> pipeline_cache_uuid{};
    VkDeviceSize non_coherent_atom = 1;

    std::unique_ptr<Memory> memory;
    std::unique_ptr<Pipelines> pipelines;
    LogCallback log_callback;
    std::function<void()> lock_queue;
    std::function<void()> unlock_queue;

    // --- Errors. check() throws heron::Error; a lost device is remembered. check_alive() stands at the start
    // of every entry point that uses the device.
    void check(VkResult result, const char* call, std::string_view what = {}) const;
    void check_alive() const;
    bool lost() const { return lost_.load(std::memory_order_relaxed); }

    void log(Severity severity, std::string_view text) const;

    // --- Names. Best effort: nothing happens without VK_EXT_debug_utils. Labels: begin_label and end_label
    // write into a command buffer.
    void name(VkObjectType type, std::uint64_t handle, std::string_view text) const noexcept;
    template <typename Handle>
    void name(VkObjectType type, Handle handle, std::string_view text) const noexcept {
        name(type, reinterpret_cast<std::uint64_t>(handle), text);
    }
    void begin_label(VkCommandBuffer commands, const char* text) const noexcept;
    void end_label(VkCommandBuffer commands) const noexcept;

    // --- Mapped memory that may not be coherent; see Memory.
    void flush(const BufferRange& range) const { memory->flush(range); }
    void invalidate(const BufferRange& range) const { memory->invalidate(range); }

    // --- Submission. Heron's own submissions signal one timeline semaphore, with rising values.
    // Submits once, under the queue's lock, and returns the value that is signalled at the end. Throws where
    // there is no queue; nothing was submitted when it throws.
    std::uint64_t submit(std::span<const VkCommandBuffer> commands,
                         std::span<const VkSemaphoreSubmitInfo> waits = {},
                         std::span<const VkSemaphoreSubmitInfo> signals = {});
    VkSemaphore timeline = VK_NULL_HANDLE;
    std::uint64_t submitted() const;  // the last value given out, 0 before the first
    std::uint64_t completed() const;  // the last value reached
    // Returns false on time-out.
    bool wait(std::uint64_t value, std::uint64_t timeout_ns) const;

    // For destructors, before a timeline goes: waits, though not for ever, until it has been signalled.
    // Whoever waited for another semaphore of the same submission cannot know that yet.
    void settle(VkSemaphore semaphore, std::uint64_t value) const noexcept;

    // --- Blocking copy between two buffers, for Buffer::read and write. `staging`, one of the two, is kept
    // until the device goes where the copy did not end in time.
    void copy(const BufferRange& from, const BufferRange& to, Buffer& staging);

    // Keeps what a submission that did not finish may still use, until the device goes.
    void abandon(VkCommandPool pool, Buffer staging) noexcept;

    // --- For Device::create and Device::adopt.
    struct Opening {
        const Probe& probe;
        Features features;                        // enabled
        std::span<const std::string> extensions;  // enabled
        VkPipelineCache pipeline_cache = VK_NULL_HANDLE;
        std::string reason;
    };
    void open(const Opening& opening, const DeviceOptions& options);

private:
    friend struct BufferAccess;
    VkResult wait_result(std::uint64_t value, std::uint64_t timeout_ns) const;
    struct Abandoned {  // what a copy that did not end in time still uses
        VkCommandPool pool = VK_NULL_HANDLE;
        Buffer staging;
    };

    mutable std::atomic<bool> lost_{false};
    mutable std::mutex submit_mutex_;  // guards what follows
    std::uint64_t submitted_ = 0;
    std::vector<Abandoned> abandoned_;
};

// Throws (invalid_argument) for options that contradict each other or contain null pointers.
void check_device_options(const DeviceOptions& options);

// How core and the layers above make buffers and look into them.
struct BufferAccess {
    // As Device::create_buffer, with a purpose and an alignment.
    static Buffer create(Device::Impl& device, const MemoryRequest& request, std::string_view name = {});
    static Device::Impl* device(const Buffer& buffer) { return buffer.device_; }
    static void* allocation(const Buffer& buffer) { return buffer.allocation_; }
};

}  // namespace heron
