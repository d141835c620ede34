// SPDX-License-Identifier: MIT
// Recorded training steps, replayed in submissions of one or many, with the GPU time of every step.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "heron/heron.hpp"
#include "support/vulkan_api.hpp"

namespace samples {

class StepCommands {
public:
    static constexpr std::uint32_t kMaxSteps = 64;  // a submission
    using Seconds = std::vector<double>;            // of each part of a step

    // Records kMaxSteps equal steps, because each has queries of its own. `parts` of a step: forward,
    // backward and optimizer, for example.
    StepCommands(const heron::Device& device, const samples::DeviceFunctions& vk,
                 std::span<heron::Plan* const> parts);
    StepCommands(const StepCommands&) = delete;
    StepCommands& operator=(const StepCommands&) = delete;
    ~StepCommands();  // waits

    // Executes `count` steps, one to kMaxSteps; those before must have been waited for.
    void submit(std::uint32_t count);
    void wait();
    // GPU time of each step of the last submission, which must have finished. Steps in which the counter
    // wrapped around are left out; none is there where the device has no timestamps.
    std::vector<Seconds> times() const;

private:
    void record(VkCommandBuffer commands, std::uint32_t step, std::span<heron::Plan* const> parts);

    const heron::Device& device_;
    const samples::DeviceFunctions& vk_;
    const std::uint32_t timestamps_;  // of a step: before, between and after the parts
    VkCommandPool pool_ = VK_NULL_HANDLE;
    std::array<VkCommandBuffer, kMaxSteps> steps_{};
    VkFence fence_ = VK_NULL_HANDLE;
    VkQueryPool queries_ = VK_NULL_HANDLE;
    std::uint32_t submitted_ = 0;  // steps of the last submission
    bool pending_ = false;
};

}  // namespace samples
