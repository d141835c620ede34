// SPDX-License-Identifier: MIT
// Command buffers of the test's own, as an engine has them.
#pragma once

#include <gtest/gtest.h>

#include <span>

#include "core/device.hpp"

namespace heron::test {

// Buffers live as long as this does. Submissions go to the device's queue and are waited for.
class Commands {
public:
    explicit Commands(Device& device) : impl_(device.impl()) {
        VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
        info.queueFamilyIndex = impl_.queue_family;
        impl_.check(impl_.vk.CreateCommandPool(impl_.device, &info, nullptr, &pool_), "vkCreateCommandPool");
    }
    ~Commands() { impl_.vk.DestroyCommandPool(impl_.device, pool_, nullptr); }
    Commands(const Commands&) = delete;
    Commands& operator=(const Commands&) = delete;

    VkCommandBuffer begin(VkCommandBufferLevel level = VK_COMMAND_BUFFER_LEVEL_PRIMARY) {
        VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
        info.commandPool = pool_;
        info.level = level;
        info.commandBufferCount = 1;
        VkCommandBuffer commands = VK_NULL_HANDLE;
        impl_.check(impl_.vk.AllocateCommandBuffers(impl_.device, &info, &commands),
                    "vkAllocateCommandBuffers");
        const VkCommandBufferInheritanceInfo inheritance{VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO};
        VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
        begin.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
        begin.pInheritanceInfo = &inheritance;
        impl_.check(impl_.vk.BeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
        return commands;
    }
    void end(VkCommandBuffer commands) {
        impl_.check(impl_.vk.EndCommandBuffer(commands), "vkEndCommandBuffer");
    }
    void submit(VkCommandBuffer commands) {
        ASSERT_TRUE(impl_.wait(impl_.submit(std::span<const VkCommandBuffer>(&commands, 1)), 60'000'000'000));
    }

private:
    Device::Impl& impl_;
    VkCommandPool pool_ = VK_NULL_HANDLE;
};

}  // namespace heron::test
