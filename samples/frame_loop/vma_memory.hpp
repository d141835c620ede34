// SPDX-License-Identifier: MIT
// Heron's device memory through the Vulkan Memory Allocator (vk_mem_alloc.h, 3.0 or newer): to be copied into
// an engine that has one. The allocator needs VMA_ALLOCATOR_CREATE_BUFFER_DEVICE_ADDRESS_BIT; give it
// VMA_ALLOCATOR_CREATE_EXT_MEMORY_BUDGET_BIT where the device has VK_EXT_memory_budget, or it guesses
// budgets.
//
//   VmaMemory memory(allocator, families);             // outlives the heron::Device
//   options.memory = memory.callbacks();               // heron::DeviceOptions
#pragma once

#include <vk_mem_alloc.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "heron/device.hpp"

class VmaMemory {
public:
    // `families`: the queue families whose queues will run Heron's commands. With more than one, the buffers
    // are shared (VK_SHARING_MODE_CONCURRENT), and no ownership has to be transferred.
    VmaMemory(VmaAllocator allocator, std::span<const std::uint32_t> families)
        : allocator_(allocator), families_(families.begin(), families.end()) {}
    VmaMemory(const VmaMemory&) = delete;
    VmaMemory& operator=(const VmaMemory&) = delete;

    // They refer to this object. Threads: any.
    heron::MemoryCallbacks callbacks() {
        return {.allocate = [this](const heron::MemoryRequest& request) { return allocate(request); },
                .free = [this](const heron::BufferRange& range) { free(range); }};
    }

    std::uint64_t allocations() const { return allocations_; }  // so far

private:
    heron::BufferRange allocate(const heron::MemoryRequest& request) {
        const bool shared = families_.size() > 1;
        const VkBufferCreateInfo buffer_info{
            .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
            .size = request.bytes,
            .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                     VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
                     VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT,
            .sharingMode = shared ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE,
            .queueFamilyIndexCount = shared ? static_cast<std::uint32_t>(families_.size()) : 0,
            .pQueueFamilyIndices = families_.data()};
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
        try {
            const std::lock_guard lock(mutex_);
            allocation_of_[buffer] = allocation;
        } catch (...) {
            vmaDestroyBuffer(allocator_, buffer, allocation);
            throw;
        }
        ++allocations_;
        return {
            .buffer = buffer, .bytes = request.bytes, .usage = buffer_info.usage, .mapped = made.pMappedData};
    }

    void free(const heron::BufferRange& range) {
        VmaAllocation allocation = nullptr;
        {
            const std::lock_guard lock(mutex_);
            const auto found = allocation_of_.find(range.buffer);
            if (found == allocation_of_.end()) return;
            allocation = found->second;
            allocation_of_.erase(found);
        }
        vmaDestroyBuffer(allocator_, range.buffer, allocation);
    }

    VmaAllocator allocator_;
    const std::vector<std::uint32_t> families_;
    std::atomic<std::uint64_t> allocations_{0};
    std::mutex mutex_;  // guards what follows
    std::unordered_map<VkBuffer, VmaAllocation> allocation_of_;
};
