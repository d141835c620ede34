// SPDX-License-Identifier: MIT
// A VkInstance and its loader.
#pragma once

#include <vulkan/vulkan_core.h>

#include <vector>

#include "core/loader.hpp"
#include "heron/device.hpp"

namespace heron {

// Destroyed only where Heron created it.
struct Instance {
    LoaderLibrary library;
    FunctionTable vk;
    VkInstance handle = VK_NULL_HANDLE;
    const VkAllocationCallbacks* allocator = nullptr;
    bool owned = false;
    bool debug_utils = false;

    Instance() = default;
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    void create(const DeviceOptions& options);
    std::vector<VkPhysicalDevice> physical_devices() const;
};

}  // namespace heron
