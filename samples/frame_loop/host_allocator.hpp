// SPDX-License-Identifier: MIT
// The renderer's allocator of host memory, as Vulkan and Heron are given it, with a count of its calls.
#pragma once

#include <vulkan/vulkan_core.h>

#include <atomic>
#include <cstdint>

class HostAllocator {
public:
    HostAllocator();
    HostAllocator(const HostAllocator&) = delete;
    HostAllocator& operator=(const HostAllocator&) = delete;

    const VkAllocationCallbacks* callbacks() const { return &callbacks_; }
    std::uint64_t allocations() const { return allocations_; }  // so far
    std::int64_t live() const { return live_; }                 // of them, not freed

private:
    void* allocate(std::size_t bytes, std::size_t alignment);
    void release(void* memory);

    VkAllocationCallbacks callbacks_{};
    std::atomic<std::uint64_t> allocations_{0};
    std::atomic<std::int64_t> live_{0};
};
