// SPDX-License-Identifier: MIT
#include "frames.hpp"

using samples::check;

VkCommandPool create_pool(const Context& context, std::uint32_t family) {
    const VkCommandPoolCreateInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                       .queueFamilyIndex = family};
    VkCommandPool pool = VK_NULL_HANDLE;
    check(context.vk().CreateCommandPool(context.device(), &info, nullptr, &pool), "vkCreateCommandPool");
    return pool;
}

VkCommandBuffer allocate_commands(const Context& context, VkCommandPool pool, VkCommandBufferLevel level) {
    const VkCommandBufferAllocateInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                           .commandPool = pool,
                                           .level = level,
                                           .commandBufferCount = 1};
    VkCommandBuffer commands = VK_NULL_HANDLE;
    check(context.vk().AllocateCommandBuffers(context.device(), &info, &commands),
          "vkAllocateCommandBuffers");
    return commands;
}

Frames::Frames(const Context& context)
    : context_(context), graphics_(context.create_timeline()), compute_(context.create_timeline()) {
    for (Frame& frame : frames_) {
        frame.draw_pool = create_pool(context, context.graphics().family);
        frame.train_pool = create_pool(context, context.compute().family);
        frame.draw = allocate_commands(context, frame.draw_pool);
        frame.backward = allocate_commands(context, frame.train_pool);
        frame.publish = allocate_commands(context, frame.train_pool);
    }
}

Frames::~Frames() {
    const auto& vk = context_.vk();
    vk.DeviceWaitIdle(context_.device());
    for (const Frame& frame : frames_) {
        vk.DestroyCommandPool(context_.device(), frame.draw_pool, nullptr);
        vk.DestroyCommandPool(context_.device(), frame.train_pool, nullptr);
    }
    vk.DestroySemaphore(context_.device(), graphics_.semaphore, nullptr);
    vk.DestroySemaphore(context_.device(), compute_.semaphore, nullptr);
}

void Frames::reset(const Frame& frame) const {
    for (const VkCommandPool pool : {frame.draw_pool, frame.train_pool})
        check(context_.vk().ResetCommandPool(context_.device(), pool, 0), "vkResetCommandPool");
}

Frame& Frames::begin() {
    Frame& frame = frames_[next_];
    context_.wait(graphics_, frame.drawn);
    context_.wait(compute_, frame.trained);
    reset(frame);
    record(frame.draw);
    return frame;
}

void Frames::end(Frame& frame, std::uint64_t trained) {
    finish(frame.draw);
    frame.drawn = ++graphics_.value;
    const Batch batch =
        Batch(frame.draw).wait(compute_, trained, VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT).signal(graphics_);
    const VkSubmitInfo2 info = batch.info();
    check(submit(context_.graphics(), {&info, 1}), "vkQueueSubmit2");
    next_ = (next_ + 1) % frames_.size();
}

void Frames::record(VkCommandBuffer commands) const {
    const VkCommandBufferBeginInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    check(context_.vk().BeginCommandBuffer(commands, &info), "vkBeginCommandBuffer");
}

void Frames::finish(VkCommandBuffer commands) const {
    check(context_.vk().EndCommandBuffer(commands), "vkEndCommandBuffer");
}

VkResult Frames::submit(const Queue& queue, std::span<const VkSubmitInfo2> batches) const {
    return context_.vk().QueueSubmit2(queue.handle, static_cast<std::uint32_t>(batches.size()),
                                      batches.data(), VK_NULL_HANDLE);
}
