// SPDX-License-Identifier: MIT
// What the renderer draws: a terrain of 4,608 triangles into an offscreen picture, its colours and heights
// out of the network's weights.
#pragma once

#include "context.hpp"
#include "device_memory.hpp"

class Scene {
public:
    static constexpr VkExtent2D kSize{640, 360};

    Scene(const Context& context, DeviceMemory& memory);
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;
    ~Scene();  // the GPU must have finished

    // One picture. Before: the weights at that address are visible to compute shaders. Frames that follow
    // each other in submission order may share the scene.
    void record(VkCommandBuffer commands, VkDeviceAddress weights, float turn) const;
    // Copies the picture, RGBA with 8 bits a colour, to mapped memory of kSize.width * kSize.height * 4
    // bytes.
    void record_copy(VkCommandBuffer commands, const heron::BufferRange& pixels) const;

private:
    void create_render_pass();
    void create_pipeline();

    const Context& context_;
    DeviceMemory& memory_;
    heron::BufferRange vertices_;
    Picture colour_;
    Picture depth_;
    VkRenderPass render_pass_ = VK_NULL_HANDLE;
    VkFramebuffer framebuffer_ = VK_NULL_HANDLE;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    VkPipeline vertex_pipeline_ = VK_NULL_HANDLE;
    VkPipeline draw_pipeline_ = VK_NULL_HANDLE;
};
