// SPDX-License-Identifier: MIT
// Submissions, all on one timeline semaphore, and waiting for them.
#include <algorithm>
#include <array>
#include <string>

#include "core/device.hpp"

namespace heron {

std::uint64_t Device::Impl::submit(std::span<const VkCommandBuffer> commands,
                                   std::span<const VkSemaphoreSubmitInfo> waits,
                                   std::span<const VkSemaphoreSubmitInfo> signals) {
    check_alive();
    if (!queue)
        throw Error(ErrorCode::unsupported,
                    "the device was adopted without a queue, so Heron cannot submit: set "
                    "AdoptedDevice::queue, or record "
                    "into a command buffer of your own");

    // Bounded, so that a submission needs no memory.
    std::array<VkCommandBufferSubmitInfo, 4> command_infos{};
    std::array<VkSemaphoreSubmitInfo, 20> all_signals{};
    if (commands.size() > command_infos.size() || signals.size() >= all_signals.size())
        throw Error(ErrorCode::internal, "submit: too many command buffers or semaphores");
    for (std::size_t i = 0; i < commands.size(); ++i) {
        command_infos[i].sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
        command_infos[i].commandBuffer = commands[i];
    }
    std::copy(signals.begin(), signals.end(), all_signals.begin());
    VkSemaphoreSubmitInfo& own = all_signals[signals.size()];
    own.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO;
    own.semaphore = timeline;
    own.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;

    VkSubmitInfo2 submit_info{};
    submit_info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
    submit_info.waitSemaphoreInfoCount = static_cast<std::uint32_t>(waits.size());
    submit_info.pWaitSemaphoreInfos = waits.data();
    submit_info.commandBufferInfoCount = static_cast<std::uint32_t>(commands.size());
    submit_info.pCommandBufferInfos = command_infos.data();
    submit_info.signalSemaphoreInfoCount = static_cast<std::uint32_t>(signals.size() + 1);
    submit_info.pSignalSemaphoreInfos = all_signals.data();

    // Heron's own lock, then the engine's: values must reach the queue in rising order.
    const std::lock_guard lock(submit_mutex_);
    own.value = submitted_ + 1;
    if (lock_queue) lock_queue();
    const VkResult result = vk.QueueSubmit2(queue, 1, &submit_info, VK_NULL_HANDLE);
    if (unlock_queue) unlock_queue();
    check(result, "vkQueueSubmit2");
    return ++submitted_;
}

std::uint64_t Device::Impl::submitted() const {
    const std::lock_guard lock(submit_mutex_);
    return submitted_;
}

std::uint64_t Device::Impl::completed() const {
    check_alive();
    std::uint64_t value = 0;
    check(vk.GetSemaphoreCounterValue(device, timeline, &value), "vkGetSemaphoreCounterValue");
    return value;
}

VkResult Device::Impl::wait_result(std::uint64_t value, std::uint64_t timeout_ns) const {
    VkSemaphoreWaitInfo wait_info{};
    wait_info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    wait_info.semaphoreCount = 1;
    wait_info.pSemaphores = &timeline;
    wait_info.pValues = &value;
    return vk.WaitSemaphores(device, &wait_info, timeout_ns);
}

bool Device::Impl::wait(std::uint64_t value, std::uint64_t timeout_ns) const {
    check_alive();
    const VkResult result = wait_result(value, timeout_ns);
    if (result == VK_TIMEOUT) return false;
    check(result, "vkWaitSemaphores");
    return true;
}

void Device::Impl::settle(VkSemaphore semaphore, std::uint64_t value) const noexcept {
    // A device that hangs must not hang its owner. CPU drivers do not, but a step may take them minutes, and
    // one that outlives its memory ends the process.
    const std::uint64_t patience_ns = (capabilities.cpu ? 600 : 2) * std::uint64_t{1'000'000'000};
    if (semaphore == VK_NULL_HANDLE || value == 0 || lost()) return;
    VkSemaphoreWaitInfo wait_info{};
    wait_info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    wait_info.semaphoreCount = 1;
    wait_info.pSemaphores = &semaphore;
    wait_info.pValues = &value;
    (void)vk.WaitSemaphores(device, &wait_info, patience_ns);  // there is nobody to tell
}

void Device::wait_idle(std::uint64_t timeout_ns) const {
    const std::uint64_t value = impl_->submitted();
    if (!impl_->wait(value, timeout_ns))
        throw Error(ErrorCode::timeout,
                    "Device::wait_idle: " + impl_->info.name + " did not finish submission " +
                        std::to_string(value) + " within " + std::to_string(timeout_ns) + " ns",
                    VK_TIMEOUT);
}

}  // namespace heron
