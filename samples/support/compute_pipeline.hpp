// SPDX-License-Identifier: MIT
// A compute pipeline without descriptor sets, in a program that has its own Vulkan.
#pragma once

#include <cstdint>
#include <span>

#include "support/vulkan_api.hpp"

namespace samples {

inline VkShaderModule create_shader_module(const DeviceFunctions& vk, VkDevice device,
                                           std::span<const std::uint32_t> spirv) {
    const VkShaderModuleCreateInfo info{.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                        .codeSize = spirv.size_bytes(),
                                        .pCode = spirv.data()};
    VkShaderModule module = VK_NULL_HANDLE;
    check(vk.CreateShaderModule(device, &info, nullptr, &module), "vkCreateShaderModule");
    return module;
}

// Of push constants alone.
inline VkPipelineLayout create_pipeline_layout(const DeviceFunctions& vk, VkDevice device,
                                               VkShaderStageFlags stages, std::uint32_t push_bytes) {
    const VkPushConstantRange range{.stageFlags = stages, .size = push_bytes};
    const VkPipelineLayoutCreateInfo info{.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                          .pushConstantRangeCount = 1,
                                          .pPushConstantRanges = &range};
    VkPipelineLayout layout = VK_NULL_HANDLE;
    check(vk.CreatePipelineLayout(device, &info, nullptr, &layout), "vkCreatePipelineLayout");
    return layout;
}

inline VkPipeline create_compute_pipeline(const DeviceFunctions& vk, VkDevice device,
                                          std::span<const std::uint32_t> spirv, VkPipelineLayout layout,
                                          VkPipelineCache cache = VK_NULL_HANDLE) {
    const VkShaderModule module = create_shader_module(vk, device, spirv);
    const VkComputePipelineCreateInfo info{
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main"},
        .layout = layout};
    VkPipeline pipeline = VK_NULL_HANDLE;
    const VkResult result = vk.CreateComputePipelines(device, cache, 1, &info, nullptr, &pipeline);
    vk.DestroyShaderModule(device, module, nullptr);
    check(result, "vkCreateComputePipelines");
    return pipeline;
}

}  // namespace samples
