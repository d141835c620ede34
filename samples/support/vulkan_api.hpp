// SPDX-License-Identifier: MIT
// The few Vulkan functions that the samples call themselves, taken from the system's loader at run time.
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan_core.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#include <stdexcept>
#include <string>

namespace samples {

// Entry point of the loader. Throws when there is none.
inline PFN_vkGetInstanceProcAddr open_vulkan() {
#ifdef _WIN32
    void* found = nullptr;
    if (HMODULE library = LoadLibraryA("vulkan-1.dll"))
        found = reinterpret_cast<void*>(GetProcAddress(library, "vkGetInstanceProcAddr"));
#else
    void* found = nullptr;
    for (const char* name : {"libvulkan.so.1", "libvulkan.so", "libvulkan.1.dylib", "libMoltenVK.dylib"})
        if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
            found = dlsym(library, "vkGetInstanceProcAddr");
            if (found) break;
        }
#endif
    if (!found)
        throw std::runtime_error(
            "no Vulkan loader found (Debian: apt install libvulkan1 mesa-vulkan-drivers)");
    return reinterpret_cast<PFN_vkGetInstanceProcAddr>(found);
}

inline void check(VkResult result, const char* what) {
    if (result != VK_SUCCESS)
        throw std::runtime_error(std::string(what) + " failed with VkResult " + std::to_string(result));
}

#define SAMPLES_INSTANCE_FUNCTIONS(X)         \
    X(EnumeratePhysicalDevices)               \
    X(GetPhysicalDeviceProperties)            \
    X(GetPhysicalDeviceProperties2)           \
    X(GetPhysicalDeviceQueueFamilyProperties) \
    X(GetPhysicalDeviceMemoryProperties)      \
    X(GetPhysicalDeviceMemoryProperties2)     \
    X(CreateDevice)                           \
    X(DestroyInstance)                        \
    X(GetDeviceProcAddr)

#define SAMPLES_DEVICE_FUNCTIONS(X) \
    X(DestroyDevice)                \
    X(DeviceWaitIdle)               \
    X(GetDeviceQueue)               \
    X(QueueSubmit2)                 \
    X(CreateFence)                  \
    X(DestroyFence)                 \
    X(ResetFences)                  \
    X(WaitForFences)                \
    X(CreateSemaphore)              \
    X(DestroySemaphore)             \
    X(WaitSemaphores)               \
    X(CreateCommandPool)            \
    X(DestroyCommandPool)           \
    X(ResetCommandPool)             \
    X(AllocateCommandBuffers)       \
    X(BeginCommandBuffer)           \
    X(EndCommandBuffer)             \
    X(CreateQueryPool)              \
    X(DestroyQueryPool)             \
    X(GetQueryPoolResults)          \
    X(CmdResetQueryPool)            \
    X(CmdWriteTimestamp2)           \
    X(CmdFillBuffer)                \
    X(CmdCopyBuffer)                \
    X(CmdCopyImageToBuffer)         \
    X(CmdPipelineBarrier2)          \
    X(CmdBindPipeline)              \
    X(CmdPushConstants)             \
    X(CmdDispatch)                  \
    X(CmdExecuteCommands)           \
    X(CmdBeginRenderPass)           \
    X(CmdEndRenderPass)             \
    X(CmdDraw)                      \
    X(CreateBuffer)                 \
    X(DestroyBuffer)                \
    X(GetBufferMemoryRequirements)  \
    X(GetBufferDeviceAddress)       \
    X(CreateImage)                  \
    X(DestroyImage)                 \
    X(GetImageMemoryRequirements)   \
    X(BindImageMemory)              \
    X(CreateImageView)              \
    X(DestroyImageView)             \
    X(CreateRenderPass)             \
    X(DestroyRenderPass)            \
    X(CreateFramebuffer)            \
    X(DestroyFramebuffer)           \
    X(AllocateMemory)               \
    X(FreeMemory)                   \
    X(BindBufferMemory)             \
    X(MapMemory)                    \
    X(CreateShaderModule)           \
    X(DestroyShaderModule)          \
    X(CreatePipelineCache)          \
    X(DestroyPipelineCache)         \
    X(CreatePipelineLayout)         \
    X(DestroyPipelineLayout)        \
    X(CreateComputePipelines)       \
    X(CreateGraphicsPipelines)      \
    X(DestroyPipeline)

#define SAMPLES_DECLARE(name) PFN_vk##name name = nullptr;
#define SAMPLES_LOAD(name)                                         \
    name = reinterpret_cast<PFN_vk##name>(get(owner, "vk" #name)); \
    if (!name) throw std::runtime_error("the Vulkan driver has no vk" #name);

struct InstanceFunctions {
    SAMPLES_INSTANCE_FUNCTIONS(SAMPLES_DECLARE)

    InstanceFunctions() = default;
    InstanceFunctions(PFN_vkGetInstanceProcAddr get, VkInstance owner) {
        SAMPLES_INSTANCE_FUNCTIONS(SAMPLES_LOAD)
    }
};

struct DeviceFunctions {
    SAMPLES_DEVICE_FUNCTIONS(SAMPLES_DECLARE)

    DeviceFunctions() = default;
    DeviceFunctions(PFN_vkGetDeviceProcAddr get, VkDevice owner) { SAMPLES_DEVICE_FUNCTIONS(SAMPLES_LOAD) }
};

#undef SAMPLES_LOAD
#undef SAMPLES_DECLARE

}  // namespace samples
