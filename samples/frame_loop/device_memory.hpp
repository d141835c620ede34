// SPDX-License-Identifier: MIT
// The renderer's allocator of device memory: one VkDeviceMemory a buffer or image, all of them counted.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "context.hpp"
#include "heron/device.hpp"

// An image with its only view.
struct Picture {
    VkImage image = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    VkImageView view = VK_NULL_HANDLE;
};

class DeviceMemory {
public:
    explicit DeviceMemory(const Context& context) : context_(context) {}
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;
    ~DeviceMemory();  // frees what was not given back

    // A buffer that all queue families share, as Heron's MemoryCallbacks want it. Threads: any.
    heron::BufferRange allocate(const heron::MemoryRequest& request);
    heron::BufferRange allocate(heron::MemoryKind kind, VkDeviceSize bytes) {
        return allocate({.kind = kind, .bytes = bytes});
    }
    void free(const heron::BufferRange& range);
    VkDeviceAddress address(const heron::BufferRange& range) const;

    Picture create_picture(VkFormat format, VkExtent2D size, VkImageUsageFlags usage,
                           VkImageAspectFlags aspect);
    void destroy(Picture& picture);

    // For Heron; they refer to this object.
    heron::MemoryCallbacks callbacks();

    std::uint64_t allocations() const;  // so far

private:
    VkDeviceMemory allocate_memory(const VkMemoryRequirements& needs, VkMemoryPropertyFlags wanted,
                                   const void* next);

    const Context& context_;
    mutable std::mutex mutex_;  // guards what follows
    std::map<VkBuffer, VkDeviceMemory> memory_of_;
    std::uint64_t allocations_ = 0;
};
