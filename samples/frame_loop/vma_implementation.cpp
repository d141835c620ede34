// SPDX-License-Identifier: MIT
// The Vulkan Memory Allocator's own code, with functions that its user gives.
#define VMA_STATIC_VULKAN_FUNCTIONS 0
#define VMA_DYNAMIC_VULKAN_FUNCTIONS 1
#define VMA_IMPLEMENTATION
#include <vk_mem_alloc.h>
