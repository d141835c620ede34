// SPDX-License-Identifier: MIT
// Heron's device memory through the Vulkan Memory Allocator (vk_mem_alloc.h, 3.0 or newer): to be copied into
// an engine that has one. The allocator needs VMA_ALLOCATOR_CREATE_BUFFER_DEVICE_ADDRESS_BIT.
//
//   VmaMemory memory(allocator);                       // outlives the heron::Device
//   options.memory = memory.callbacks();               // heron::DeviceOptions
#pragma once

#include <vk_mem_alloc.h>

#include <mutex>
#include <unordered_map>

#include "heron/device.hpp"

class VmaMemory {
public:
    explicit VmaMemory(VmaAllocator allocator) : allocator_(allocator) {}
    VmaMemory(const VmaMemory&) = delete;
    VmaMemory& operator=(const VmaMemory&) = delete;

    // They refer to this object. Threads: any.
    heron::MemoryCallbacks callbacks() {
        return {.allocate = [this](const heron::MemoryRequest& request) { return allocate(request); },
                .free = [this](const heron::BufferRange& range) { free(range); }};
    }

private:
    heron::BufferRange allocate(const heron::MemoryRequest& request) {
        const VkBufferCreateInfo buffer_info{
            .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
            .size = request.bytes,
            .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                     VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
                     VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT};
        VmaAllocationCreateInfo info{};
        info.usage = VMA_MEMORY_USAGE_AUTO;
        if (request.kind != heron::MemoryKind::device) {
            info.flags = VMA_ALLOCATION_CREATE_MAPPED_BIT |
                         (request.kind == heron::MemoryKind::upload
                              ? VMA_ALLOCATION_CREATE_HOST_ACCESS_SEQUENTIAL_WRITE_BIT
                              : VMA_ALLOCATION_CREATE_HOST_ACCESS_RANDOM_BIT);
            info.requiredFlags =
                VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;  // Heron does not flush what it is given
        } else {
            // So that a budget that is used up is Heron's refusal, and not the driver's.
            info.flags = VMA_ALLOCATION_CREATE_WITHIN_BUDGET_BIT;
        }
        VkBuffer buffer = VK_NULL_HANDLE;
        VmaAllocation allocation = nullptr;
        VmaAllocationInfo made{};
        if (vmaCreateBufferWithAlignment(allocator_, &buffer_info, &info, request.alignment, &buffer,
                                         &allocation, &made) != VK_SUCCESS)
            return {};  // Heron throws out_of_device_memory
        const std::lock_guard lock(mutex_);
        allocations_[buffer] = allocation;
        return {
            .buffer = buffer, .bytes = request.bytes, .usage = buffer_info.usage, .mapped = made.pMappedData};
    }

    void free(const heron::BufferRange& range) {
        VmaAllocation allocation = nullptr;
        {
            const std::lock_guard lock(mutex_);
            const auto found = allocations_.find(range.buffer);
            if (found == allocations_.end()) return;
            allocation = found->second;
            allocations_.erase(found);
        }
        vmaDestroyBuffer(allocator_, range.buffer, allocation);
    }

    VmaAllocator allocator_;
    std::mutex mutex_;  // guards what follows
    std::unordered_map<VkBuffer, VmaAllocation> allocations_;
};
