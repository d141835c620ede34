// SPDX-License-Identifier: MIT
// The renderer's barriers: one memory barrier each.
#pragma once

#include "support/vulkan_api.hpp"

struct Access {
    VkPipelineStageFlags2 stages;
    VkAccessFlags2 accesses;
};

inline constexpr Access kComputeAccess{
    VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT,
    VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT};
inline constexpr Access kTransferAccess{VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT,
                                        VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT};
inline constexpr Access kHostRead{VK_PIPELINE_STAGE_2_HOST_BIT, VK_ACCESS_2_HOST_READ_BIT};

inline constexpr Access operator|(const Access& a, const Access& b) {
    return {a.stages | b.stages, a.accesses | b.accesses};
}

inline void record_barrier(const samples::DeviceFunctions& vk, VkCommandBuffer commands, const Access& from,
                           const Access& to) {
    const VkMemoryBarrier2 barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                   .srcStageMask = from.stages,
                                   .srcAccessMask = from.accesses,
                                   .dstStageMask = to.stages,
                                   .dstAccessMask = to.accesses};
    const VkDependencyInfo dependency{
        .sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO, .memoryBarrierCount = 1, .pMemoryBarriers = &barrier};
    vk.CmdPipelineBarrier2(commands, &dependency);
}
