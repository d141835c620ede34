// SPDX-License-Identifier: MIT
// An engine's own Vulkan, as far as the sample needs it: a device made with Heron's feature chain, one block of
// memory, and frames. Nothing in it is Heron's.
#pragma once

#include <heron/heron.h>

typedef struct engine {
    void* loader;
    VkInstance instance;
    VkPhysicalDevice physical_device;
    VkDevice device;
    VkQueue queue;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence;
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkBufferUsageFlags usage;
    char* mapped;
    uint64_t bytes, used;
    heron_feature_chain* chain;
    heron_adopted_device handles;  // what heron_device_adopt() takes; without the queue, which stays the engine's
} engine;

// Ends the program where a call of Vulkan or Heron fails.
void engine_create(engine* e, uint64_t bytes);
void engine_destroy(engine* e);

// A part of the engine's block, aligned to 256 bytes, mapped.
heron_buffer_range engine_take(engine* e, uint64_t bytes);

VkCommandBuffer engine_begin_frame(engine* e);
// Copies `bytes` from one range to the other, visible to compute shaders afterwards.
void engine_copy(engine* e, const heron_buffer_range* from, const heron_buffer_range* to, uint64_t bytes);
void engine_end_frame(engine* e);  // submits and waits, for simplicity

void check(heron_result result);
