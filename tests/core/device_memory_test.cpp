// SPDX-License-Identifier: MIT
// Memory that the caller gives: host memory callbacks, and device memory of an engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <stdexcept>

#include "core/device.hpp"
#include "core/host_device.hpp"
#include "core/pattern.hpp"
#include "core/refusal.hpp"
#include "support/device_fixture.hpp"

namespace heron {
namespace {

using test::expect_works;
using test::HostDevice;
using test::refusal;
using test::says;

class DeviceMemoryTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(DeviceMemoryTest);

struct HostMemory {
    std::atomic<std::int64_t> live{0};
    std::atomic<std::int64_t> total{0};
    VkAllocationCallbacks callbacks{};

    HostMemory() {
        callbacks.pUserData = this;
        callbacks.pfnAllocation = [](void* self, std::size_t size, std::size_t alignment,
                                     VkSystemAllocationScope) -> void* {
            return static_cast<HostMemory*>(self)->allocate(size, alignment);
        };
        callbacks.pfnFree = [](void* self, void* pointer) {
            static_cast<HostMemory*>(self)->release(pointer);
        };
        callbacks.pfnReallocation = [](void* self, void* old, std::size_t size, std::size_t alignment,
                                       VkSystemAllocationScope) -> void* {
            auto& memory = *static_cast<HostMemory*>(self);
            if (size == 0) {
                memory.release(old);
                return nullptr;
            }
            auto* made = static_cast<std::byte*>(memory.allocate(size, alignment));
            if (made && old) {
                std::memcpy(made, old, std::min(size, reinterpret_cast<std::size_t*>(old)[-1]));
                memory.release(old);
            }
            return made;
        };
    }
    // The size stands before the memory, the start of the malloc'ed block before that.
    void* allocate(std::size_t size, std::size_t alignment) {
        if (size == 0) return nullptr;
        alignment = std::max<std::size_t>(alignment, 16);
        auto* base = static_cast<std::byte*>(std::malloc(size + alignment + 16));
        if (!base) return nullptr;
        const auto address =
            (reinterpret_cast<std::uintptr_t>(base) + 16 + alignment - 1) / alignment * alignment;
        auto* result = reinterpret_cast<std::byte*>(address);
        reinterpret_cast<std::size_t*>(result)[-1] = size;
        reinterpret_cast<void**>(result)[-2] = base;
        ++live;
        ++total;
        return result;
    }
    void release(void* pointer) {
        if (!pointer) return;
        --live;
        std::free(static_cast<void**>(pointer)[-2]);
    }
};

TEST_P(DeviceMemoryTest, PassesTheHostMemoryCallbacksToEveryCall) {
    HostMemory memory;
    DeviceOptions options = test::device_options(GetParam());
    options.get_instance_proc_addr = test::plain_entry();
    options.allocator = &memory.callbacks;
    expect_works(Device::create(options));
    EXPECT_GT(memory.total.load(), 0);
    EXPECT_EQ(memory.live.load(), 0);
}

TEST_P(DeviceMemoryTest, TakesDeviceMemoryFromTheCaller) {
    DeviceOptions options = test::device_options(GetParam());
    // A second Device on the same VkDevice stands for the engine's allocator.
    const Device engine = Device::create(options);
    std::deque<Buffer> pool;
    std::vector<std::string> purposes;
    std::size_t freed = 0;
    options.memory.allocate = [&](const MemoryRequest& request) {
        purposes.emplace_back(request.purpose);
        pool.push_back(BufferAccess::create(engine.impl(), request));
        return pool.back().range();
    };
    options.memory.free = [&](const BufferRange& range) {
        ++freed;
        EXPECT_NE(range.buffer, VK_NULL_HANDLE);
    };
    HostDevice handles = HostDevice::of(engine);
    {
        const Device device = Device::adopt(handles.adopted, options);
        expect_works(device);
        Buffer buffer = device.create_buffer(100, MemoryKind::upload);
        EXPECT_EQ(buffer.bytes(), 100u);
        EXPECT_EQ(buffer.range().buffer, pool.back().range().buffer);
        EXPECT_EQ(device.impl().memory->allocated_bytes(), 0u);
    }
    EXPECT_EQ(freed, pool.size());
    EXPECT_GE(freed, 2u);
}

TEST_P(DeviceMemoryTest, RefusesWrongMemoryFromTheCaller) {
    const Device engine = Device::create(test::device_options(GetParam()));
    HostDevice handles = HostDevice::of(engine);
    Buffer real = engine.create_buffer(4096, MemoryKind::upload);
    BufferRange answer = real.range();
    int freed = 0;
    DeviceOptions options;
    options.memory.allocate = [&](const MemoryRequest&) { return answer; };
    options.memory.free = [&](const BufferRange&) { ++freed; };
    const Device device = Device::adopt(handles.adopted, options);
    auto refused = [&](ErrorCode code, const char* words) {
        EXPECT_TRUE(says(refusal(code, [&] { device.create_buffer(256, MemoryKind::upload); }), words));
    };
    answer.buffer = VK_NULL_HANDLE;
    refused(ErrorCode::out_of_device_memory, "null buffer");
    EXPECT_EQ(freed, 0);
    answer = real.range();
    answer.bytes = 255;
    refused(ErrorCode::invalid_argument, "255 bytes");
    answer = real.range();
    answer.offset += 4;
    refused(ErrorCode::invalid_argument, "multiple of 256");
    answer = real.range();
    answer.usage &= ~VkBufferUsageFlags{VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT};
    refused(ErrorCode::invalid_argument, "INDIRECT_BUFFER");
    answer = real.range();
    answer.mapped = nullptr;
    refused(ErrorCode::invalid_argument, "not mapped");
    EXPECT_EQ(freed, 4);
    options.memory.allocate = [&](const MemoryRequest&) -> BufferRange {
        throw std::runtime_error("engine is full");
    };
    const Device full = Device::adopt(handles.adopted, options);
    EXPECT_THROW(full.create_buffer(256), std::runtime_error);
}

}  // namespace
}  // namespace heron
