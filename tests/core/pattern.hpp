// SPDX-License-Identifier: MIT
// Runs the kernel of pattern.comp on a device and gives what it should have written.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/device.hpp"
#include "heron/spirv/core_test_pattern.hpp"
#include "support/device_fixture.hpp"

namespace heron::test {

inline VkPipeline pattern_pipeline(Device::Impl& device, std::uint32_t threads, std::uint32_t factor) {
    const SpecializationConstant constants[] = {{0, threads}, {1, factor}};
    return device.pipelines->get({spirv::core_test_pattern, "pattern", constants, threads});
}

// Records, submits and waits.
inline void run_pattern(Device::Impl& device, const Buffer& target, std::uint32_t seed, std::uint32_t factor,
                        std::uint32_t threads = 64) {
    const VkPipeline pipeline = pattern_pipeline(device, threads, factor);
    struct Pool {
        Device::Impl& device;
        VkCommandPool handle = VK_NULL_HANDLE;
        ~Pool() { device.vk.DestroyCommandPool(device.device, handle, device.allocator); }
    } pool{device};
    VkCommandPoolCreateInfo pool_info{};
    pool_info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool_info.queueFamilyIndex = device.queue_family;
    device.check(device.vk.CreateCommandPool(device.device, &pool_info, device.allocator, &pool.handle),
                 "vkCreateCommandPool");
    VkCommandBufferAllocateInfo allocate_info{};
    allocate_info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    allocate_info.commandPool = pool.handle;
    allocate_info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    device.check(device.vk.AllocateCommandBuffers(device.device, &allocate_info, &commands),
                 "vkAllocateCommandBuffers");
    VkCommandBufferBeginInfo begin_info{};
    begin_info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    device.check(device.vk.BeginCommandBuffer(commands, &begin_info), "vkBeginCommandBuffer");
    device.begin_label(commands, "pattern");
    device.vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    struct Push {
        VkDeviceAddress target;
        std::uint32_t count, seed;
        std::uint32_t unused[4] = {};
    } push{target.address(), static_cast<std::uint32_t>(target.bytes() / 4), seed};
    static_assert(sizeof push == Pipelines::kPushBytes);
    device.vk.CmdPushConstants(commands, device.pipelines->layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               sizeof push, &push);
    device.vk.CmdDispatch(commands, (push.count + threads - 1) / threads, 1, 1);
    VkMemoryBarrier2 barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2;
    barrier.srcStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
    barrier.srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;
    barrier.dstStageMask = VK_PIPELINE_STAGE_2_HOST_BIT | VK_PIPELINE_STAGE_2_COPY_BIT;
    barrier.dstAccessMask = VK_ACCESS_2_HOST_READ_BIT | VK_ACCESS_2_TRANSFER_READ_BIT;
    VkDependencyInfo dependency{};
    dependency.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO;
    dependency.memoryBarrierCount = 1;
    dependency.pMemoryBarriers = &barrier;
    device.vk.CmdPipelineBarrier2(commands, &dependency);
    device.end_label(commands);
    device.check(device.vk.EndCommandBuffer(commands), "vkEndCommandBuffer");
    const std::uint64_t value = device.submit({&commands, 1});
    if (!device.wait(value, 60'000'000'000))
        throw Error(ErrorCode::timeout, "pattern did not end", VK_TIMEOUT);
}

inline std::vector<std::uint32_t> expected_pattern(std::size_t count, std::uint32_t seed,
                                                   std::uint32_t factor) {
    std::vector<std::uint32_t> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = seed + factor * static_cast<std::uint32_t>(i);
    return values;
}

// Buffers and a kernel give the right values.
inline void expect_works(const Device& device) {
    Buffer buffer = device.create_buffer(4000);
    run_pattern(device.impl(), buffer, 5, 3, std::min(64u, device.capabilities().max_workgroup_invocations));
    EXPECT_EQ(download<std::uint32_t>(buffer), expected_pattern(1000, 5, 3));
}

}  // namespace heron::test
