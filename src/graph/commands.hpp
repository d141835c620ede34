// SPDX-License-Identifier: MIT
// The commands that plans and transfers record.
#pragma once

#include "core/device.hpp"
#include "core/push.h"

namespace heron {

static_assert(sizeof(gpu::Push) == Pipelines::kPushBytes);

// What a barrier orders on one of its sides.
struct BarrierSide {
    VkPipelineStageFlags2 stages;
    VkAccessFlags2 accesses;
};

inline constexpr VkPipelineStageFlags2 kComputeStage = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
inline constexpr VkAccessFlags2 kShaderRead = VK_ACCESS_2_SHADER_STORAGE_READ_BIT;
inline constexpr VkAccessFlags2 kShaderWrite = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT;

inline void record_barrier(const Device::Impl& device, VkCommandBuffer commands, BarrierSide from,
                           BarrierSide to) {
    VkMemoryBarrier2 memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
    memory.srcStageMask = from.stages;
    memory.srcAccessMask = from.accesses;
    memory.dstStageMask = to.stages;
    memory.dstAccessMask = to.accesses;
    VkDependencyInfo dependency{VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
    dependency.memoryBarrierCount = 1;
    dependency.pMemoryBarriers = &memory;
    device.vk.CmdPipelineBarrier2(commands, &dependency);
}

inline void record_push(const Device::Impl& device, VkCommandBuffer commands, const gpu::Push& push) {
    device.vk.CmdPushConstants(commands, device.pipelines->layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               sizeof(push), &push);
}

}  // namespace heron
