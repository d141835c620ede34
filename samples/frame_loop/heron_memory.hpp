// SPDX-License-Identifier: MIT
// Where Heron's device memory comes from: the renderer's allocator, or, where the build found it, the Vulkan
// Memory Allocator.
#pragma once

#include <memory>

#include "context.hpp"
#include "device_memory.hpp"

class HeronMemory {
public:
    // Throws samples::BadInput where `vma` is wanted and was not found.
    HeronMemory(const Context& context, DeviceMemory& memory, bool vma);
    HeronMemory(const HeronMemory&) = delete;
    HeronMemory& operator=(const HeronMemory&) = delete;
    ~HeronMemory();

    heron::MemoryCallbacks callbacks();  // refer to this object
    // Of device memory, by the renderer's allocator or for Heron, so far.
    std::uint64_t allocations() const;

private:
    struct Vma;
    DeviceMemory& memory_;
    std::unique_ptr<Vma> vma_;
};
