// SPDX-License-Identifier: MIT
// Device memory: blocks that small requests share, a block of its own for a large one, or the caller's
// callbacks.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heron/device.hpp"

namespace heron {

inline constexpr VkBufferUsageFlags kBufferUsage =
    VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
    VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;

// Threads: every function may be called from several threads at once.
class Memory {
public:
    struct Block;  // one VkBuffer bound to one VkDeviceMemory
    struct Allocation {
        Block* block = nullptr;
        VkDeviceSize offset = 0;  // in the block's buffer
        VkDeviceSize bytes = 0;
    };
    struct Range {
        BufferRange range;
        VkDeviceAddress address = 0;
        Allocation* allocation = nullptr;  // null for the caller's memory
    };

    Memory(Device::Impl& device, MemoryCallbacks callbacks);
    ~Memory();

    // Throws heron::Error; nothing is allocated then.
    Range allocate(const MemoryRequest& request, std::string_view name);
    void free(const BufferRange& range, Allocation* allocation) noexcept;

    // Throws heron::Error (out_of_device_memory) with need and budget where the requests together need more
    // than the heaps have left; nothing is allocated. The caller's callbacks know their own budget.
    void require(std::span<const MemoryRequest> requests, std::string_view who) const;

    // After the host wrote to, and before it reads from, mapped memory. Nothing happens for coherent memory
    // and for the caller's, which must be coherent.
    void flush(const BufferRange& range);
    void invalidate(const BufferRange& range);
    bool coherent(const BufferRange& range);  // whether that is so

    std::uint64_t allocated_bytes() const;  // of Heron's own VkDeviceMemory

private:
    Range allocate_from_callbacks(const MemoryRequest& request);
    std::unique_ptr<Block> create_block(MemoryKind kind, VkDeviceSize bytes, const MemoryRequest& request);
    std::vector<std::uint32_t> types_for(MemoryKind kind, std::uint32_t allowed) const;
    std::uint64_t available_bytes(std::uint32_t heap) const;
    // Of the blocks that small requests of a kind share; a request is small up to a quarter of it.
    VkDeviceSize shared_block_bytes(MemoryKind kind, std::uint32_t heap) const;
    bool has_gap(const MemoryRequest& request) const;  // in a shared block; under the lock
    std::string left_text(std::uint32_t heap, std::uint64_t available) const;
    template <typename Call>
    void for_mapped_range(const BufferRange& range, const char* name, Call call);

    Device::Impl& device_;
    const MemoryCallbacks callbacks_;
    VkPhysicalDeviceMemoryProperties properties_{};
    mutable std::mutex mutex_;  // guards what follows
    std::vector<std::unique_ptr<Block>> blocks_;
    std::uint64_t heap_bytes_[VK_MAX_MEMORY_HEAPS] = {};
};

}  // namespace heron
