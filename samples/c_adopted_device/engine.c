// SPDX-License-Identifier: MIT
#include "engine.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check(heron_result result) {
    if (result == HERON_SUCCESS) return;
    fprintf(stderr, "c_adopted_device: %s: %s\n", heron_result_text(result), heron_last_error());
    exit(1);
}

static void check_vk(VkResult result, const char* call) {
    if (result == VK_SUCCESS) return;
    fprintf(stderr, "c_adopted_device: %s failed with %d\n", call, (int)result);
    exit(1);
}

// A function of the instance's (or, where it is null, the loader's own); no prototypes are linked.
#define VK(e, name) ((PFN_##name)(e)->handles.get_instance_proc_addr((e)->instance, #name))

static void open_loader(engine* e) {
    e->loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    void* entry = e->loader == NULL ? NULL : dlsym(e->loader, "vkGetInstanceProcAddr");
    if (entry == NULL) {
        fprintf(stderr, "c_adopted_device: there is no Vulkan loader (libvulkan.so.1)\n");
        exit(1);
    }
    // ISO C has no cast from an object's pointer to a function's; POSIX says that the bits are the same.
    memcpy(&e->handles.get_instance_proc_addr, &entry, sizeof entry);
}

// The first device that Heron can use.
static uint32_t choose_device(void) {
    heron_device_options options;
    check(heron_device_options_init(&options));
    heron_device_list* list = NULL;
    check(heron_device_list_create(&options, &list));
    uint32_t index = 0;
    while (index < heron_device_list_count(list) && !heron_device_list_get(list, index)->usable) ++index;
    if (index == heron_device_list_count(list)) {
        fprintf(stderr, "c_adopted_device: no device of this machine will do\n");
        exit(1);
    }
    printf("Engine: %s\n", heron_device_list_get(list, index)->name);
    heron_device_list_destroy(list);
    return index;
}

static void create_instance(engine* e) {
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .apiVersion = VK_API_VERSION_1_3};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    check_vk(VK(e, vkCreateInstance)(&info, NULL, &e->instance), "vkCreateInstance");
    VkPhysicalDevice devices[16];
    uint32_t count = 16;
    const uint32_t index = choose_device();
    check_vk(VK(e, vkEnumeratePhysicalDevices)(e->instance, &count, devices), "vkEnumeratePhysicalDevices");
    e->physical_device = devices[index];
}

// Features and extensions: the engine's own would stand in the same chain and list.
static void create_device(engine* e) {
    VkQueueFamilyProperties families[16];
    uint32_t count = 16;
    VK(e, vkGetPhysicalDeviceQueueFamilyProperties)(e->physical_device, &count, families);
    uint32_t family = 0;
    while (family + 1 < count && (families[family].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) ++family;

    check(heron_feature_chain_create(e->handles.get_instance_proc_addr, e->instance, e->physical_device,
                                     VK_API_VERSION_1_3, NULL, &e->chain));
    uint32_t extension_count = 0;
    const char* const* extensions = heron_feature_chain_extensions(e->chain, &extension_count);
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueFamilyIndex = family,
                                           .queueCount = 1,
                                           .pQueuePriorities = &priority};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = heron_feature_chain_features(e->chain),
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue,
                                     .enabledExtensionCount = extension_count,
                                     .ppEnabledExtensionNames = extensions};
    check_vk(VK(e, vkCreateDevice)(e->physical_device, &info, NULL, &e->device), "vkCreateDevice");
    VK(e, vkGetDeviceQueue)(e->device, family, 0, &e->queue);

    e->handles.instance = e->instance;
    e->handles.physical_device = e->physical_device;
    e->handles.device = e->device;
    e->handles.queue_family = family;
    e->handles.enabled_features = heron_feature_chain_features(e->chain);
    e->handles.enabled_extension_count = extension_count;
    e->handles.enabled_extensions = extensions;
}

// One buffer in mapped memory with a device address. An engine for GPUs would have device memory beside it.
static void create_memory(engine* e, uint64_t bytes) {
    e->usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
               VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
               VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = bytes, .usage = e->usage};
    check_vk(VK(e, vkCreateBuffer)(e->device, &info, NULL, &e->buffer), "vkCreateBuffer");
    VkMemoryRequirements needs;
    VK(e, vkGetBufferMemoryRequirements)(e->device, e->buffer, &needs);
    VkPhysicalDeviceMemoryProperties memory;
    VK(e, vkGetPhysicalDeviceMemoryProperties)(e->physical_device, &memory);
    const VkMemoryPropertyFlags wanted = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    uint32_t type = 0;
    while ((needs.memoryTypeBits >> type & 1) == 0 || (memory.memoryTypes[type].propertyFlags & wanted) != wanted)
        ++type;
    const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                             .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    const VkMemoryAllocateInfo allocation = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                             .pNext = &flags,
                                             .allocationSize = needs.size,
                                             .memoryTypeIndex = type};
    check_vk(VK(e, vkAllocateMemory)(e->device, &allocation, NULL, &e->memory), "vkAllocateMemory");
    check_vk(VK(e, vkBindBufferMemory)(e->device, e->buffer, e->memory, 0), "vkBindBufferMemory");
    void* mapped = NULL;
    check_vk(VK(e, vkMapMemory)(e->device, e->memory, 0, VK_WHOLE_SIZE, 0, &mapped), "vkMapMemory");
    e->mapped = mapped;
    e->bytes = bytes;
}

static void create_frames(engine* e) {
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = e->handles.queue_family};
    check_vk(VK(e, vkCreateCommandPool)(e->device, &pool, NULL, &e->pool), "vkCreateCommandPool");
    const VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                  .commandPool = e->pool,
                                                  .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                  .commandBufferCount = 1};
    check_vk(VK(e, vkAllocateCommandBuffers)(e->device, &commands, &e->commands), "vkAllocateCommandBuffers");
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    check_vk(VK(e, vkCreateFence)(e->device, &fence, NULL, &e->fence), "vkCreateFence");
}

void engine_create(engine* e, uint64_t bytes) {
    memset(e, 0, sizeof *e);
    check(heron_adopted_device_init(&e->handles));
    open_loader(e);
    create_instance(e);
    create_device(e);
    create_memory(e, bytes);
    create_frames(e);
}

void engine_destroy(engine* e) {
    VK(e, vkDestroyFence)(e->device, e->fence, NULL);
    VK(e, vkDestroyCommandPool)(e->device, e->pool, NULL);
    VK(e, vkDestroyBuffer)(e->device, e->buffer, NULL);
    VK(e, vkFreeMemory)(e->device, e->memory, NULL);
    VK(e, vkDestroyDevice)(e->device, NULL);
    heron_feature_chain_destroy(e->chain);
    VK(e, vkDestroyInstance)(e->instance, NULL);
    dlclose(e->loader);
}

heron_buffer_range engine_take(engine* e, uint64_t bytes) {
    const uint64_t offset = (e->used + 255) / 256 * 256;
    if (offset + bytes > e->bytes) {
        fprintf(stderr, "c_adopted_device: the engine's memory is too small\n");
        exit(1);
    }
    e->used = offset + bytes;
    return (heron_buffer_range){
        .buffer = e->buffer, .offset = offset, .bytes = bytes, .usage = e->usage, .mapped = e->mapped + offset};
}

VkCommandBuffer engine_begin_frame(engine* e) {
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    check_vk(VK(e, vkBeginCommandBuffer)(e->commands, &begin), "vkBeginCommandBuffer");
    return e->commands;
}

void engine_copy(engine* e, const heron_buffer_range* from, const heron_buffer_range* to, uint64_t bytes) {
    const VkBufferCopy region = {.srcOffset = from->offset, .dstOffset = to->offset, .size = bytes};
    VK(e, vkCmdCopyBuffer)(e->commands, from->buffer, to->buffer, 1, &region);
    const VkMemoryBarrier2 barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
                                      .srcStageMask = VK_PIPELINE_STAGE_2_COPY_BIT,
                                      .srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT,
                                      .dstStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT,
                                      .dstAccessMask = VK_ACCESS_2_SHADER_STORAGE_READ_BIT};
    const VkDependencyInfo dependency = {
        .sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO, .memoryBarrierCount = 1, .pMemoryBarriers = &barrier};
    VK(e, vkCmdPipelineBarrier2)(e->commands, &dependency);
}

void engine_end_frame(engine* e) {
    check_vk(VK(e, vkEndCommandBuffer)(e->commands), "vkEndCommandBuffer");
    const VkCommandBufferSubmitInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
                                                .commandBuffer = e->commands};
    const VkSubmitInfo2 submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2, .commandBufferInfoCount = 1, .pCommandBufferInfos = &commands};
    check_vk(VK(e, vkQueueSubmit2)(e->queue, 1, &submit, e->fence), "vkQueueSubmit2");
    check_vk(VK(e, vkWaitForFences)(e->device, 1, &e->fence, VK_TRUE, UINT64_MAX), "vkWaitForFences");
    check_vk(VK(e, vkResetFences)(e->device, 1, &e->fence), "vkResetFences");
}
