// SPDX-License-Identifier: MIT
// A host program's own Vulkan: loader, instance, device, queue, memory, pipelines, frames. Nothing here is
// Heron's, except heron::FeatureChain, which fills in what vkCreateDevice has to enable.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heron/device.hpp"
#include "shaders/engine.h"
#include "support/vulkan_api.hpp"

// One VkBuffer in one allocation, cut into ranges from its beginning.
class MemoryBlock {
public:
    MemoryBlock() = default;
    MemoryBlock(const samples::DeviceFunctions& vk, VkDevice device,
                const VkPhysicalDeviceMemoryProperties& types, VkMemoryPropertyFlags wanted,
                VkDeviceSize bytes);
    MemoryBlock(const MemoryBlock&) = delete;
    MemoryBlock& operator=(const MemoryBlock&) = delete;
    ~MemoryBlock();

    // A range that is aligned to 256 bytes. Throws when the block is used up.
    heron::BufferRange take(VkDeviceSize bytes);
    VkDeviceAddress address(const heron::BufferRange& range) const { return address_ + range.offset; }

private:
    const samples::DeviceFunctions* vk_;
    VkDevice device_;
    VkBuffer buffer_ = VK_NULL_HANDLE;
    VkDeviceMemory memory_ = VK_NULL_HANDLE;
    VkDeviceAddress address_ = 0;
    void* mapped_ = nullptr;
    VkDeviceSize bytes_ = 0;
    VkDeviceSize used_ = 0;
};

class Engine {
public:
    explicit Engine(std::uint32_t physical_device_index);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine();

    // What Heron is given: handles, and what was enabled.
    heron::AdoptedDevice handles() const;
    const std::string& device_name() const { return name_; }

    enum class Shader { backward_samples, backward_weights, render };
    void dispatch(VkCommandBuffer commands, Shader shader, const heron::gpu::EnginePush& push,
                  std::uint32_t invocations);
    // What compute shaders and transfers wrote becomes visible to compute shaders and, for `host`, to the
    // host.
    void barrier(VkCommandBuffer commands, bool host = false);

    // Frames: begin() waits until the frame before the last has finished and gives its command buffer.
    VkCommandBuffer begin_frame();
    void end_frame();
    void wait_idle();

    MemoryBlock& device_memory() { return *device_memory_; }
    MemoryBlock& host_memory() { return *host_memory_; }  // mapped and coherent

private:
    static constexpr std::size_t kFrames = 2;  // in flight
    struct Frame {
        VkCommandPool pool = VK_NULL_HANDLE;
        VkCommandBuffer commands = VK_NULL_HANDLE;
        VkFence fence = VK_NULL_HANDLE;
    };

    void create_pipelines();

    PFN_vkGetInstanceProcAddr get_;
    VkInstance instance_ = VK_NULL_HANDLE;
    samples::InstanceFunctions instance_functions_;
    VkPhysicalDevice physical_device_ = VK_NULL_HANDLE;
    std::string name_;
    std::optional<heron::FeatureChain> features_;
    std::uint32_t queue_family_ = 0;
    VkDevice device_ = VK_NULL_HANDLE;
    samples::DeviceFunctions vk_;
    VkQueue queue_ = VK_NULL_HANDLE;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    std::array<VkPipeline, 3> pipelines_{};
    std::array<Frame, kFrames> frames_;
    std::size_t frame_ = 0;
    std::optional<MemoryBlock> device_memory_;
    std::optional<MemoryBlock> host_memory_;
};
