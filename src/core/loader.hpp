// SPDX-License-Identifier: MIT
// Vulkan's entry points: the system's loader library and one function table per device. Nothing is global.
#pragma once

#include <vulkan/vulkan_core.h>

namespace heron {

// What Heron calls; add a name here to call more. Members have no prefix (`vk.CmdDispatch`), so that the
// renaming of volk's symbols, which are macros, never touches them.
#define HERON_GLOBAL_FUNCTIONS(X)           \
    X(CreateInstance)                       \
    X(EnumerateInstanceExtensionProperties) \
    X(EnumerateInstanceLayerProperties)     \
    X(EnumerateInstanceVersion)

#define HERON_INSTANCE_FUNCTIONS(X)       \
    X(CreateDevice)                       \
    X(DestroyInstance)                    \
    X(EnumerateDeviceExtensionProperties) \
    X(EnumeratePhysicalDevices)           \
    X(GetDeviceProcAddr)                  \
    X(GetPhysicalDeviceFeatures2)         \
    X(GetPhysicalDeviceMemoryProperties2) \
    X(GetPhysicalDeviceProperties)        \
    X(GetPhysicalDeviceProperties2)       \
    X(GetPhysicalDeviceQueueFamilyProperties)

#define HERON_DEVICE_FUNCTIONS(X)   \
    X(AllocateCommandBuffers)       \
    X(AllocateMemory)               \
    X(BeginCommandBuffer)           \
    X(BindBufferMemory)             \
    X(CmdBindPipeline)              \
    X(CmdCopyBuffer)                \
    X(CmdCopyQueryPoolResults)      \
    X(CmdDispatch)                  \
    X(CmdDispatchIndirect)          \
    X(CmdExecuteCommands)           \
    X(CmdFillBuffer)                \
    X(CmdPipelineBarrier2)          \
    X(CmdPushConstants)             \
    X(CmdResetQueryPool)            \
    X(CmdUpdateBuffer)              \
    X(CmdWriteTimestamp2)           \
    X(CreateBuffer)                 \
    X(CreateCommandPool)            \
    X(CreateComputePipelines)       \
    X(CreateFence)                  \
    X(CreatePipelineCache)          \
    X(CreatePipelineLayout)         \
    X(CreateQueryPool)              \
    X(CreateSemaphore)              \
    X(CreateShaderModule)           \
    X(DestroyBuffer)                \
    X(DestroyCommandPool)           \
    X(DestroyDevice)                \
    X(DestroyFence)                 \
    X(DestroyPipeline)              \
    X(DestroyPipelineCache)         \
    X(DestroyPipelineLayout)        \
    X(DestroyQueryPool)             \
    X(DestroySemaphore)             \
    X(DestroyShaderModule)          \
    X(DeviceWaitIdle)               \
    X(EndCommandBuffer)             \
    X(FlushMappedMemoryRanges)      \
    X(FreeCommandBuffers)           \
    X(FreeMemory)                   \
    X(GetBufferDeviceAddress)       \
    X(GetBufferMemoryRequirements)  \
    X(GetDeviceQueue)               \
    X(GetPipelineCacheData)         \
    X(GetSemaphoreCounterValue)     \
    X(InvalidateMappedMemoryRanges) \
    X(MapMemory)                    \
    X(QueueSubmit2)                 \
    X(QueueWaitIdle)                \
    X(ResetCommandPool)             \
    X(ResetFences)                  \
    X(SignalSemaphore)              \
    X(WaitForFences)                \
    X(WaitSemaphores)

// Null where the extension is not enabled.
#define HERON_DEBUG_FUNCTIONS(X)  \
    X(CmdBeginDebugUtilsLabelEXT) \
    X(CmdEndDebugUtilsLabelEXT)   \
    X(SetDebugUtilsObjectNameEXT)

struct FunctionTable {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr = nullptr;
#define HERON_MEMBER(name) PFN_vk##name name = nullptr;
    HERON_GLOBAL_FUNCTIONS(HERON_MEMBER)
    HERON_INSTANCE_FUNCTIONS(HERON_MEMBER)
    HERON_DEVICE_FUNCTIONS(HERON_MEMBER)
    HERON_DEBUG_FUNCTIONS(HERON_MEMBER)
#undef HERON_MEMBER
#ifdef VK_KHR_cooperative_matrix
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR GetPhysicalDeviceCooperativeMatrixPropertiesKHR =
        nullptr;
#endif
#ifdef VK_NV_cooperative_matrix2
    PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV
        GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV = nullptr;
#endif

    // Each throws heron::Error (unsupported) that names the first function that is not there.
    void load_global(PFN_vkGetInstanceProcAddr entry);
    void load_instance(VkInstance instance);  // GetInstanceProcAddr must be set
    void load_device(VkDevice device);
    void load_debug(VkInstance instance);  // only where VK_EXT_debug_utils is enabled
};

// The system's loader, opened for as long as this object lives, so that a plug-in leaves nothing behind.
class LoaderLibrary {
public:
    LoaderLibrary() = default;
    ~LoaderLibrary();
    LoaderLibrary(const LoaderLibrary&) = delete;
    LoaderLibrary& operator=(const LoaderLibrary&) = delete;

    // `given`, or, when that is null, the system's. Throws heron::Error (unsupported) where there is none.
    PFN_vkGetInstanceProcAddr open(PFN_vkGetInstanceProcAddr given);

private:
    void* module_ = nullptr;
};

}  // namespace heron
