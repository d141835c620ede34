// SPDX-License-Identifier: MIT
// Command buffers, fence and queries of a batch of training steps.
#include "step_commands.hpp"

#include <algorithm>

namespace samples {

using samples::check;

namespace {

constexpr std::uint64_t kTimeoutNs = 300'000'000'000;

}  // namespace

StepCommands::StepCommands(const heron::Device& device, const samples::DeviceFunctions& vk,
                           std::span<heron::Plan* const> parts)
    : device_(device), vk_(vk), timestamps_(static_cast<std::uint32_t>(parts.size()) + 1) {
    const VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                       .queueFamilyIndex = device.queue_family()};
    check(vk.CreateCommandPool(device.handle(), &pool, nullptr, &pool_), "vkCreateCommandPool");
    const VkCommandBufferAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                               .commandPool = pool_,
                                               .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                               .commandBufferCount = kMaxSteps};
    check(vk.AllocateCommandBuffers(device.handle(), &allocate, steps_.data()), "vkAllocateCommandBuffers");
    const VkFenceCreateInfo fence{.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    check(vk.CreateFence(device.handle(), &fence, nullptr, &fence_), "vkCreateFence");
    if (device.capabilities().timestamps) {
        const VkQueryPoolCreateInfo queries{.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                            .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                            .queryCount = kMaxSteps * timestamps_};
        check(vk.CreateQueryPool(device.handle(), &queries, nullptr, &queries_), "vkCreateQueryPool");
    }
    for (std::uint32_t step = 0; step < kMaxSteps; ++step) record(steps_[step], step, parts);
}

StepCommands::~StepCommands() {
    if (pending_) vk_.WaitForFences(device_.handle(), 1, &fence_, VK_TRUE, kTimeoutNs);
    if (queries_) vk_.DestroyQueryPool(device_.handle(), queries_, nullptr);
    vk_.DestroyFence(device_.handle(), fence_, nullptr);
    vk_.DestroyCommandPool(device_.handle(), pool_, nullptr);
}

void StepCommands::record(VkCommandBuffer commands, std::uint32_t step, std::span<heron::Plan* const> parts) {
    std::uint32_t query = step * timestamps_;
    const auto timestamp = [&] {
        if (queries_)
            vk_.CmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries_, query++);
    };
    const VkCommandBufferBeginInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    check(vk_.BeginCommandBuffer(commands, &info), "vkBeginCommandBuffer");
    if (queries_) vk_.CmdResetQueryPool(commands, queries_, query, timestamps_);
    timestamp();
    for (heron::Plan* part : parts) {
        part->record(commands);
        timestamp();
    }
    check(vk_.EndCommandBuffer(commands), "vkEndCommandBuffer");
}

void StepCommands::submit(std::uint32_t count) {
    std::vector<VkCommandBufferSubmitInfo> buffers;
    for (std::uint32_t step = 0; step < count; ++step)
        buffers.push_back(
            {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, .commandBuffer = steps_[step]});
    const VkSubmitInfo2 info{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
                             .commandBufferInfoCount = count,
                             .pCommandBufferInfos = buffers.data()};
    check(vk_.ResetFences(device_.handle(), 1, &fence_), "vkResetFences");
    check(vk_.QueueSubmit2(device_.queue(), 1, &info, fence_), "vkQueueSubmit2");
    submitted_ = count;
    pending_ = true;
}

void StepCommands::wait() {
    if (!pending_) return;
    check(vk_.WaitForFences(device_.handle(), 1, &fence_, VK_TRUE, kTimeoutNs), "vkWaitForFences");
    pending_ = false;
}

std::vector<StepCommands::Seconds> StepCommands::times() const {
    const std::size_t count = std::size_t{submitted_} * timestamps_;
    std::vector<std::uint64_t> ticks(count);
    if (!queries_ || vk_.GetQueryPoolResults(device_.handle(), queries_, 0, static_cast<std::uint32_t>(count),
                                             count * sizeof(ticks[0]), ticks.data(), sizeof(ticks[0]),
                                             VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
        return {};
    std::vector<Seconds> result;
    for (std::size_t begin = 0; begin < count; begin += timestamps_) {
        const auto step = std::span(ticks).subspan(begin, timestamps_);
        if (!std::ranges::is_sorted(step)) continue;
        Seconds& seconds = result.emplace_back();
        for (std::size_t part = 0; part + 1 < step.size(); ++part)
            seconds.push_back(static_cast<double>(step[part + 1] - step[part]) *
                              device_.capabilities().timestamp_period_ns * 1e-9);
    }
    return result;
}

}  // namespace samples
