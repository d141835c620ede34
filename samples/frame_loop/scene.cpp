// SPDX-License-Identifier: MIT
#include "scene.hpp"

#include <array>

#include "barrier.hpp"
#include "heron/spirv/frame_scene_fragment.hpp"
#include "heron/spirv/frame_scene_vertex.hpp"
#include "heron/spirv/frame_scene_vertices.hpp"
#include "shaders/engine.h"
#include "shaders/scene.h"

namespace gpu = heron::gpu;
using samples::check;

namespace {

constexpr VkFormat kColour = VK_FORMAT_R8G8B8A8_UNORM;
constexpr VkFormat kDepth = VK_FORMAT_D16_UNORM;
constexpr VkShaderStageFlags kStages = VK_SHADER_STAGE_COMPUTE_BIT | VK_SHADER_STAGE_VERTEX_BIT;

}  // namespace

Scene::Scene(const Context& context, DeviceMemory& memory)
    : context_(context),
      memory_(memory),
      vertices_(memory.allocate(heron::MemoryKind::device,
                                gpu::GRID_VERTICES * gpu::VERTEX_FLOATS * sizeof(float))),
      colour_(memory.create_picture(kColour, kSize,
                                    VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT,
                                    VK_IMAGE_ASPECT_COLOR_BIT)),
      depth_(memory.create_picture(kDepth, kSize, VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT,
                                   VK_IMAGE_ASPECT_DEPTH_BIT)),
      layout_(context.create_layout(kStages, sizeof(gpu::ScenePush))),
      vertex_pipeline_(context.create_compute_pipeline(heron::spirv::frame_scene_vertices, layout_)) {
    create_render_pass();
    create_pipeline();
}

Scene::~Scene() {
    const auto& vk = context_.vk();
    const VkDevice device = context_.device();
    vk.DestroyPipeline(device, draw_pipeline_, nullptr);
    vk.DestroyPipeline(device, vertex_pipeline_, nullptr);
    vk.DestroyPipelineLayout(device, layout_, nullptr);
    vk.DestroyFramebuffer(device, framebuffer_, nullptr);
    vk.DestroyRenderPass(device, render_pass_, nullptr);
    memory_.destroy(depth_);
    memory_.destroy(colour_);
    memory_.free(vertices_);
}

void Scene::create_render_pass() {
    const auto& vk = context_.vk();
    const std::array attachments{
        VkAttachmentDescription{.format = kColour,
                                .samples = VK_SAMPLE_COUNT_1_BIT,
                                .loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
                                .storeOp = VK_ATTACHMENT_STORE_OP_STORE,
                                .stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
                                .stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
                                .initialLayout = VK_IMAGE_LAYOUT_UNDEFINED,
                                .finalLayout = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL},
        VkAttachmentDescription{.format = kDepth,
                                .samples = VK_SAMPLE_COUNT_1_BIT,
                                .loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
                                .storeOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
                                .stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
                                .stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
                                .initialLayout = VK_IMAGE_LAYOUT_UNDEFINED,
                                .finalLayout = VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL}};
    const VkAttachmentReference colour{0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
    const VkAttachmentReference depth{1, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL};
    const VkSubpassDescription subpass{.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
                                       .colorAttachmentCount = 1,
                                       .pColorAttachments = &colour,
                                       .pDepthStencilAttachment = &depth};
    // The pictures of two frames follow each other, and a copy may follow the last.
    constexpr VkPipelineStageFlags kTests =
        VK_PIPELINE_STAGE_EARLY_FRAGMENT_TESTS_BIT | VK_PIPELINE_STAGE_LATE_FRAGMENT_TESTS_BIT;
    constexpr VkAccessFlags kAttachmentWrites =
        VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT | VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_WRITE_BIT;
    const std::array dependencies{
        VkSubpassDependency{.srcSubpass = VK_SUBPASS_EXTERNAL,
                            .dstSubpass = 0,
                            .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT | kTests |
                                            VK_PIPELINE_STAGE_TRANSFER_BIT,
                            .dstStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT | kTests,
                            .srcAccessMask = kAttachmentWrites,
                            .dstAccessMask = kAttachmentWrites | VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_READ_BIT},
        VkSubpassDependency{.srcSubpass = 0,
                            .dstSubpass = VK_SUBPASS_EXTERNAL,
                            .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
                            .dstStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT,
                            .srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
                            .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT}};
    const VkRenderPassCreateInfo info{.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
                                      .attachmentCount = static_cast<std::uint32_t>(attachments.size()),
                                      .pAttachments = attachments.data(),
                                      .subpassCount = 1,
                                      .pSubpasses = &subpass,
                                      .dependencyCount = static_cast<std::uint32_t>(dependencies.size()),
                                      .pDependencies = dependencies.data()};
    check(vk.CreateRenderPass(context_.device(), &info, nullptr, &render_pass_), "vkCreateRenderPass");
    const std::array views{colour_.view, depth_.view};
    const VkFramebufferCreateInfo framebuffer{.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
                                              .renderPass = render_pass_,
                                              .attachmentCount = static_cast<std::uint32_t>(views.size()),
                                              .pAttachments = views.data(),
                                              .width = kSize.width,
                                              .height = kSize.height,
                                              .layers = 1};
    check(vk.CreateFramebuffer(context_.device(), &framebuffer, nullptr, &framebuffer_),
          "vkCreateFramebuffer");
}

void Scene::create_pipeline() {
    const auto& vk = context_.vk();
    const VkShaderModule vertex = context_.create_module(heron::spirv::frame_scene_vertex);
    const VkShaderModule fragment = context_.create_module(heron::spirv::frame_scene_fragment);
    const std::array stages{
        VkPipelineShaderStageCreateInfo{.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                        .stage = VK_SHADER_STAGE_VERTEX_BIT,
                                        .module = vertex,
                                        .pName = "main"},
        VkPipelineShaderStageCreateInfo{.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                        .stage = VK_SHADER_STAGE_FRAGMENT_BIT,
                                        .module = fragment,
                                        .pName = "main"}};
    // Vertices come from memory that the vertex shader addresses itself.
    const VkPipelineVertexInputStateCreateInfo input{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO};
    const VkPipelineInputAssemblyStateCreateInfo assembly{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
        .topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST};
    const VkViewport viewport{
        .width = static_cast<float>(kSize.width), .height = static_cast<float>(kSize.height), .maxDepth = 1};
    const VkRect2D scissor{.extent = kSize};
    const VkPipelineViewportStateCreateInfo view{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
        .viewportCount = 1,
        .pViewports = &viewport,
        .scissorCount = 1,
        .pScissors = &scissor};
    const VkPipelineRasterizationStateCreateInfo raster{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
        .polygonMode = VK_POLYGON_MODE_FILL,
        .cullMode = VK_CULL_MODE_NONE,
        .lineWidth = 1};
    const VkPipelineMultisampleStateCreateInfo multisample{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
        .rasterizationSamples = VK_SAMPLE_COUNT_1_BIT};
    const VkPipelineDepthStencilStateCreateInfo depth{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO,
        .depthTestEnable = VK_TRUE,
        .depthWriteEnable = VK_TRUE,
        .depthCompareOp = VK_COMPARE_OP_LESS};
    const VkPipelineColorBlendAttachmentState opaque{.colorWriteMask =
                                                         VK_COLOR_COMPONENT_R_BIT | VK_COLOR_COMPONENT_G_BIT |
                                                         VK_COLOR_COMPONENT_B_BIT | VK_COLOR_COMPONENT_A_BIT};
    const VkPipelineColorBlendStateCreateInfo blend{
        .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
        .attachmentCount = 1,
        .pAttachments = &opaque};
    const VkGraphicsPipelineCreateInfo info{.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
                                            .stageCount = static_cast<std::uint32_t>(stages.size()),
                                            .pStages = stages.data(),
                                            .pVertexInputState = &input,
                                            .pInputAssemblyState = &assembly,
                                            .pViewportState = &view,
                                            .pRasterizationState = &raster,
                                            .pMultisampleState = &multisample,
                                            .pDepthStencilState = &depth,
                                            .pColorBlendState = &blend,
                                            .layout = layout_,
                                            .renderPass = render_pass_};
    const VkResult result = vk.CreateGraphicsPipelines(context_.device(), context_.pipeline_cache(), 1, &info,
                                                       nullptr, &draw_pipeline_);
    vk.DestroyShaderModule(context_.device(), vertex, nullptr);
    vk.DestroyShaderModule(context_.device(), fragment, nullptr);
    check(result, "vkCreateGraphicsPipelines");
}

void Scene::record(VkCommandBuffer commands, VkDeviceAddress weights, float turn) const {
    const auto& vk = context_.vk();
    const gpu::ScenePush push{.weights = weights,
                              .vertices = memory_.address(vertices_),
                              .turn = turn,
                              .aspect = static_cast<float>(kSize.width) / static_cast<float>(kSize.height)};
    vk.CmdPushConstants(commands, layout_, kStages, 0, sizeof(push), &push);
    // The frame before may still be drawing from the vertices.
    record_barrier(vk, commands, {VK_PIPELINE_STAGE_2_VERTEX_SHADER_BIT, 0}, kComputeAccess);
    vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, vertex_pipeline_);
    vk.CmdDispatch(commands, (gpu::GRID_VERTICES + gpu::THREADS - 1) / gpu::THREADS, 1, 1);
    record_barrier(vk, commands, kComputeAccess,
                   {VK_PIPELINE_STAGE_2_VERTEX_SHADER_BIT, VK_ACCESS_2_SHADER_STORAGE_READ_BIT});

    const std::array clear{VkClearValue{.color = {.float32 = {0.02f, 0.03f, 0.05f, 1.0f}}},
                           VkClearValue{.depthStencil = {1.0f, 0}}};
    const VkRenderPassBeginInfo begin{.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
                                      .renderPass = render_pass_,
                                      .framebuffer = framebuffer_,
                                      .renderArea = {.extent = kSize},
                                      .clearValueCount = static_cast<std::uint32_t>(clear.size()),
                                      .pClearValues = clear.data()};
    vk.CmdBeginRenderPass(commands, &begin, VK_SUBPASS_CONTENTS_INLINE);
    vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, draw_pipeline_);
    vk.CmdDraw(commands, 6 * gpu::GRID * gpu::GRID, 1, 0, 0);
    vk.CmdEndRenderPass(commands);
}

void Scene::record_copy(VkCommandBuffer commands, const heron::BufferRange& pixels) const {
    const VkBufferImageCopy region{
        .bufferOffset = pixels.offset,
        .imageSubresource = {.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT, .layerCount = 1},
        .imageExtent = {kSize.width, kSize.height, 1}};
    context_.vk().CmdCopyImageToBuffer(commands, colour_.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                                       pixels.buffer, 1, &region);
    record_barrier(context_.vk(), commands, kTransferAccess, kHostRead);
}
