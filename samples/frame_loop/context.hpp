// SPDX-License-Identifier: MIT
// The renderer's own Vulkan: loader, instance, device, queues, pipeline cache. Nothing here is Heron's,
// except heron::FeatureChain, which fills in what vkCreateDevice has to enable.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "heron/device.hpp"
#include "support/vulkan_api.hpp"

struct Queue {
    VkQueue handle = VK_NULL_HANDLE;
    std::uint32_t family = 0;
};

// A timeline semaphore and the last value that was given to a submission.
struct Timeline {
    VkSemaphore semaphore = VK_NULL_HANDLE;
    std::uint64_t value = 0;
};

class Context {
public:
    // `get`: of samples::open_vulkan(), but for tests. Throws samples::BadInput where the device has no
    // graphics queue, or validation is wanted and the layer is not installed.
    Context(PFN_vkGetInstanceProcAddr get, std::uint32_t physical_device_index, bool validation);
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    ~Context();

    const samples::DeviceFunctions& vk() const { return vk_; }
    VkDevice device() const { return device_; }
    const std::string& name() const { return name_; }
    const VkPhysicalDeviceMemoryProperties& memory_types() const { return memory_types_; }
    VkPipelineCache pipeline_cache() const { return pipeline_cache_; }

    const Queue& graphics() const { return graphics_; }
    // Of a family without graphics, else a second one of graphics(), else graphics() itself.
    const Queue& compute() const { return compute_; }
    bool async() const { return compute_.handle != graphics_.handle; }
    std::string queues_text() const;
    // The families that share the renderer's buffers; one or two.
    std::span<const std::uint32_t> families() const { return families_; }

    // What Heron is given: handles, and what was enabled; no queue, so that every submission is the
    // renderer's.
    heron::AdoptedDevice handles() const;
    // The same for others: without what watches Heron's calls.
    PFN_vkGetInstanceProcAddr loader() const { return get_; }

    // Warnings and errors of the validation layer; each was printed on standard error.
    std::uint64_t validation_messages() const { return messages_; }

    VkPipeline create_compute_pipeline(std::span<const std::uint32_t> spirv, VkPipelineLayout layout) const;
    VkPipelineLayout create_layout(VkShaderStageFlags stages, std::uint32_t push_bytes) const;
    VkShaderModule create_module(std::span<const std::uint32_t> spirv) const;

    Timeline create_timeline() const;
    void wait(const Timeline& timeline, std::uint64_t value) const;  // on the host; throws after a minute
    void wait_idle() const;

private:
    void create_instance(bool validation);
    void choose_queues();
    void create_device();
    static VkBool32 VKAPI_PTR on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                         VkDebugUtilsMessageTypeFlagsEXT type,
                                         const VkDebugUtilsMessengerCallbackDataEXT* data, void* context);

    PFN_vkGetInstanceProcAddr get_;
    VkInstance instance_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    std::atomic<std::uint64_t> messages_{0};
    samples::InstanceFunctions instance_functions_;
    VkPhysicalDevice physical_device_ = VK_NULL_HANDLE;
    std::string name_;
    VkPhysicalDeviceMemoryProperties memory_types_{};
    std::optional<heron::FeatureChain> features_;
    std::vector<std::uint32_t> families_;
    VkDevice device_ = VK_NULL_HANDLE;
    samples::DeviceFunctions vk_;
    Queue graphics_;
    Queue compute_;
    std::uint32_t compute_index_ = 0;  // of the queue in its family
    VkPipelineCache pipeline_cache_ = VK_NULL_HANDLE;
};
