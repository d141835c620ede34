// SPDX-License-Identifier: MIT
// A vkGetInstanceProcAddr between Heron and the loader that counts handles, lets calls fail, and shows a
// device that is less than the real one. One proxy may exist at a time; it must outlive every Device made
// through it.
#pragma once

#include <vulkan/vulkan_core.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace heron::test {

// What the emulated device says of itself; empty: what the real one says.
struct Emulation {
    std::optional<std::uint32_t> api_version;
    std::optional<std::uint32_t> loader_version;
    std::optional<std::uint32_t> subgroup_size;
    std::optional<std::uint32_t> min_subgroup_size;
    std::optional<std::uint32_t> max_subgroup_size;
    bool without_required_subgroup_size = false;  // no shader stage may ask for one
    std::optional<std::uint32_t> shared_memory_bytes;
    std::optional<std::uint32_t> max_invocations;
    std::optional<std::uint64_t> heap_bytes;  // of every heap
    // VK_EXT_memory_budget, with so much of every heap left.
    std::optional<std::uint64_t> heap_budget;
    std::optional<std::uint64_t> max_allocation_bytes;
    std::map<std::string, VkPhysicalDeviceType> types;  // by the device's name
    std::vector<std::string> without_features;          // Vulkan's names, of those that Heron looks at
    std::vector<std::string> without_extensions;
    bool without_16_bit_types = false;  // nor 8-bit types
    bool without_timestamps = false;
    bool without_compute_queue = false;
    // Memory that is not coherent, and really so: the host sees a copy that only flush and invalidate bring
    // up to date.
    bool non_coherent = false;
    // No memory that the host sees is the device's own, as on a discrete GPU: type 0 becomes two types.
    bool separate_host_memory = false;
};

class VulkanProxy {
public:
    explicit VulkanProxy(PFN_vkGetInstanceProcAddr next, Emulation emulation = {});
    ~VulkanProxy();
    VulkanProxy(const VulkanProxy&) = delete;
    VulkanProxy& operator=(const VulkanProxy&) = delete;

    PFN_vkGetInstanceProcAddr entry() const;

    // Handles that were created and not destroyed, by the name of the function that makes them; empty when
    // all are gone.
    std::map<std::string, std::int64_t> live() const;
    std::string live_text() const;  // "vkCreateBuffer 2, ..." or ""

    std::uint64_t calls(
        const std::string& name) const;    // of a counted function (those that can fail, and destroyers)
    std::uint64_t fallible_calls() const;  // since construction or the last fail_call()

    std::uint64_t names_given(
        VkObjectType type) const;  // by vkSetDebugUtilsObjectNameEXT, empty ones left out

    // What was recorded into any command buffer since the last call, in order: 'B' a barrier, 'D' a dispatch,
    // 'I' an indirect one.
    std::string take_recorded();

    // Labels of command buffers since the last call, each inside of those before it: "step{muon{}adamw{}}".
    std::string take_labels();

    // The call `index` (from 0, counted from now) of those that can fail returns `result` and does nothing.
    void fail_call(std::uint64_t index, VkResult result);
    // Every call of this function returns `result`.
    void fail_function(const std::string& name, VkResult result);
    void stop_failing();
    std::string failed() const;  // the function that failed last, "" when none did
};

}  // namespace heron::test
