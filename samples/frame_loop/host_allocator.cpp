// SPDX-License-Identifier: MIT
#include "host_allocator.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace {

// Before every piece of memory: where malloc's begins, and how long the piece is.
struct Header {
    void* base;
    std::size_t bytes;
};

Header& header_of(void* memory) { return static_cast<Header*>(memory)[-1]; }

}  // namespace

HostAllocator::HostAllocator() {
    callbacks_.pUserData = this;
    callbacks_.pfnAllocation = [](void* self, std::size_t bytes, std::size_t alignment,
                                  VkSystemAllocationScope) -> void* {
        return static_cast<HostAllocator*>(self)->allocate(bytes, alignment);
    };
    callbacks_.pfnFree = [](void* self, void* memory) { static_cast<HostAllocator*>(self)->release(memory); };
    callbacks_.pfnReallocation = [](void* self, void* old, std::size_t bytes, std::size_t alignment,
                                    VkSystemAllocationScope) -> void* {
        auto& allocator = *static_cast<HostAllocator*>(self);
        void* fresh = bytes > 0 ? allocator.allocate(bytes, alignment) : nullptr;
        if (bytes > 0 && !fresh) return nullptr;
        if (fresh && old) std::memcpy(fresh, old, std::min(bytes, header_of(old).bytes));
        allocator.release(old);
        return fresh;
    };
}

void* HostAllocator::allocate(std::size_t bytes, std::size_t alignment) {
    if (bytes == 0) return nullptr;
    alignment = std::max(alignment, alignof(Header));
    auto* base = static_cast<std::byte*>(std::malloc(bytes + alignment + sizeof(Header)));
    if (!base) return nullptr;
    const auto first = reinterpret_cast<std::uintptr_t>(base) + sizeof(Header);
    std::byte* memory = base + sizeof(Header) + ((alignment - first % alignment) % alignment);
    header_of(memory) = {base, bytes};
    ++allocations_;
    ++live_;
    return memory;
}

void HostAllocator::release(void* memory) {
    if (!memory) return;
    --live_;
    std::free(header_of(memory).base);
}
