// SPDX-License-Identifier: MIT
// The proxy's hooks. Each hooked function is one line of a table; what they have in common is one template.
#include "support/vulkan_proxy.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace heron::test {
namespace {

// Functions that can fail, as far as Heron calls them.
#define HERON_PROXY_PLAIN(X)                \
    X(EnumerateInstanceVersion)             \
    X(EnumerateInstanceExtensionProperties) \
    X(EnumerateInstanceLayerProperties)     \
    X(EnumeratePhysicalDevices)             \
    X(EnumerateDeviceExtensionProperties)   \
    X(AllocateCommandBuffers)               \
    X(BeginCommandBuffer)                   \
    X(EndCommandBuffer)                     \
    X(BindBufferMemory)                     \
    X(MapMemory)                            \
    X(FlushMappedMemoryRanges)              \
    X(InvalidateMappedMemoryRanges)         \
    X(GetPipelineCacheData)                 \
    X(GetQueryPoolResults)                  \
    X(GetSemaphoreCounterValue)             \
    X(QueueSubmit2)                         \
    X(QueueWaitIdle)                        \
    X(DeviceWaitIdle)                       \
    X(ResetCommandPool)                     \
    X(ResetFences)                          \
    X(SignalSemaphore)                      \
    X(WaitForFences)                        \
    X(WaitSemaphores)

// Makers and destroyers of one kind of handle.
#define HERON_PROXY_HANDLES(X)                     \
    X(CreateInstance, DestroyInstance)             \
    X(CreateDevice, DestroyDevice)                 \
    X(AllocateMemory, FreeMemory)                  \
    X(CreateBuffer, DestroyBuffer)                 \
    X(CreateCommandPool, DestroyCommandPool)       \
    X(CreateComputePipelines, DestroyPipeline)     \
    X(CreateFence, DestroyFence)                   \
    X(CreatePipelineCache, DestroyPipelineCache)   \
    X(CreatePipelineLayout, DestroyPipelineLayout) \
    X(CreateQueryPool, DestroyQueryPool)           \
    X(CreateSemaphore, DestroySemaphore)           \
    X(CreateShaderModule, DestroyShaderModule)

// Functions that answer questions, which an emulation changes.
#define HERON_PROXY_QUERIES(X)                \
    X(GetPhysicalDeviceProperties)            \
    X(GetPhysicalDeviceProperties2)           \
    X(GetPhysicalDeviceFeatures2)             \
    X(GetPhysicalDeviceMemoryProperties2)     \
    X(GetPhysicalDeviceQueueFamilyProperties) \
    X(GetBufferMemoryRequirements)

struct Shadow {
    VkDevice device = VK_NULL_HANDLE;
    VkDeviceSize bytes = 0;
    std::byte* real = nullptr;
    std::vector<std::byte> copy;
};

struct State {
    std::recursive_mutex mutex;
    PFN_vkGetInstanceProcAddr next = nullptr;
    std::vector<VkInstance> instances;
    Emulation emulation;
    std::map<std::string, std::int64_t> live;
    std::map<std::string, std::uint64_t> calls;
    std::uint64_t fallible = 0;
    std::optional<std::uint64_t> target;
    VkResult target_result = VK_SUCCESS;
    std::map<std::string, VkResult> always;
    std::string failed;
    std::string recorded;
    std::string labels;
    bool budget_is_emulated = false;  // the real device has no VK_EXT_memory_budget
    std::map<VkDeviceMemory, Shadow> shadows;
    std::map<VkObjectType, std::uint64_t> names;
};

State* active = nullptr;

PFN_vkVoidFunction real_of(const char* name) {
    if (PFN_vkVoidFunction function = active->next(VK_NULL_HANDLE, name))
        return function;  // needs no instance
    const std::lock_guard lock(active->mutex);
    // The loader's trampolines find the device by its handle, so those of one instance do for every device.
    return active->next(active->instances.back(), name);
}

void remember_instance(VkInstance instance) {
    const std::lock_guard lock(active->mutex);
    auto& known = active->instances;
    if (std::find(known.begin(), known.end(), instance) == known.end()) known.push_back(instance);
}

template <typename Pfn>
Pfn real(const char* name) {
    return reinterpret_cast<Pfn>(real_of(name));
}

// The result that the call shall fail with, if any.
std::optional<VkResult> fault(const char* name) {
    const std::lock_guard lock(active->mutex);
    ++active->calls[name];
    const std::uint64_t index = active->fallible++;
    if (const auto found = active->always.find(name); found != active->always.end()) {
        active->failed = name;
        return found->second;
    }
    if (active->target && *active->target == index) {
        active->failed = name;
        return active->target_result;
    }
    return std::nullopt;
}

void count(const char* maker, std::int64_t change) {
    const std::lock_guard lock(active->mutex);
    if ((active->live[maker] += change) == 0) active->live.erase(maker);
}

// --- Emulation, after the real call

bool turned_off(const char* name) {
    const auto& names = active->emulation.without_features;
    return std::find(names.begin(), names.end(), name) != names.end();
}

void change_properties(VkPhysicalDeviceProperties& properties) {
    const Emulation& e = active->emulation;
    if (e.api_version) properties.apiVersion = *e.api_version;
    if (const auto found = e.types.find(properties.deviceName); found != e.types.end())
        properties.deviceType = found->second;
    VkPhysicalDeviceLimits& limits = properties.limits;
    if (e.shared_memory_bytes) limits.maxComputeSharedMemorySize = *e.shared_memory_bytes;
    if (e.max_invocations) {
        limits.maxComputeWorkGroupInvocations = *e.max_invocations;
        for (std::uint32_t& size : limits.maxComputeWorkGroupSize) size = std::min(size, *e.max_invocations);
    }
    if (e.without_timestamps) limits.timestampPeriod = 0;
}

void change_chain(void* chain) {
    const Emulation& e = active->emulation;
    auto off = [](VkBool32& feature, bool when) {
        if (when) feature = VK_FALSE;
    };
#define HERON_OFF(member) off(s.member, turned_off(#member))
    for (auto* item = static_cast<VkBaseOutStructure*>(chain); item; item = item->pNext) {
        switch (item->sType) {
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2:
                change_properties(reinterpret_cast<VkPhysicalDeviceProperties2*>(item)->properties);
                break;
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES: {
                auto& s = *reinterpret_cast<VkPhysicalDeviceVulkan11Properties*>(item);
                if (e.subgroup_size) s.subgroupSize = *e.subgroup_size;
                if (e.max_allocation_bytes) s.maxMemoryAllocationSize = *e.max_allocation_bytes;
                if (turned_off("subgroup basic")) s.subgroupSupportedOperations = 0;
                break;
            }
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES: {
                auto& s = *reinterpret_cast<VkPhysicalDeviceVulkan13Properties*>(item);
                if (e.min_subgroup_size) s.minSubgroupSize = *e.min_subgroup_size;
                if (e.max_subgroup_size) s.maxSubgroupSize = *e.max_subgroup_size;
                if (e.without_required_subgroup_size) s.requiredSubgroupSizeStages = 0;
                break;
            }
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2: {
                auto& s = reinterpret_cast<VkPhysicalDeviceFeatures2*>(item)->features;
                off(s.shaderInt16, e.without_16_bit_types);
                HERON_OFF(shaderInt16);
                break;
            }
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES: {
                auto& s = *reinterpret_cast<VkPhysicalDeviceVulkan11Features*>(item);
                off(s.storageBuffer16BitAccess, e.without_16_bit_types);
                HERON_OFF(storageBuffer16BitAccess);
                break;
            }
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES: {
                auto& s = *reinterpret_cast<VkPhysicalDeviceVulkan12Features*>(item);
                off(s.shaderFloat16, e.without_16_bit_types);
                off(s.shaderInt8, e.without_16_bit_types);
                off(s.storageBuffer8BitAccess, e.without_16_bit_types);
                HERON_OFF(shaderFloat16);
                HERON_OFF(bufferDeviceAddress);
                HERON_OFF(scalarBlockLayout);
                HERON_OFF(timelineSemaphore);
                break;
            }
            case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES: {
                auto& s = *reinterpret_cast<VkPhysicalDeviceVulkan13Features*>(item);
                HERON_OFF(synchronization2);
                HERON_OFF(maintenance4);
                HERON_OFF(subgroupSizeControl);
                break;
            }
            default:
                break;
        }
    }
#undef HERON_OFF
}

void change_memory(VkPhysicalDeviceMemoryProperties2& properties) {
    VkPhysicalDeviceMemoryProperties& memory = properties.memoryProperties;
    const Emulation& e = active->emulation;
    constexpr VkMemoryPropertyFlags kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                            VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                                            VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    if (e.separate_host_memory && memory.memoryTypeCount == 1) {
        memory.memoryTypes[1] = memory.memoryTypes[0];
        memory.memoryTypes[0].propertyFlags &= ~kHost;
        memory.memoryTypes[1].propertyFlags &= ~VkMemoryPropertyFlags{VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT};
        memory.memoryTypeCount = 2;
    }
    if (e.non_coherent)
        for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i)
            memory.memoryTypes[i].propertyFlags &=
                ~VkMemoryPropertyFlags{VK_MEMORY_PROPERTY_HOST_COHERENT_BIT};
    if (e.heap_bytes)
        for (std::uint32_t i = 0; i < memory.memoryHeapCount; ++i) memory.memoryHeaps[i].size = *e.heap_bytes;
    if (!e.heap_budget) return;
    for (auto* item = static_cast<VkBaseOutStructure*>(properties.pNext); item; item = item->pNext) {
        if (item->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) continue;
        auto& budget = *reinterpret_cast<VkPhysicalDeviceMemoryBudgetPropertiesEXT*>(item);
        for (std::uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
            budget.heapBudget[i] = *e.heap_budget;
            budget.heapUsage[i] = 0;
        }
    }
}

void copy_shadow(const VkMappedMemoryRange& range, bool to_real) {
    const std::lock_guard lock(active->mutex);
    const auto found = active->shadows.find(range.memory);
    if (found == active->shadows.end() || !found->second.real) return;
    Shadow& shadow = found->second;
    const VkDeviceSize size = range.size == VK_WHOLE_SIZE ? shadow.bytes - range.offset : range.size;
    if (range.offset + size > shadow.bytes) throw std::out_of_range("mapped range beyond its memory");
    std::byte* ends[] = {shadow.copy.data() + range.offset, shadow.real + range.offset};
    std::memcpy(ends[to_real ? 1 : 0], ends[to_real ? 0 : 1], size);
}

// --- Hooks

constexpr bool same(const char* a, const char* b) { return std::string_view(a) == b; }

template <typename Name, typename Pfn>
struct Plain;

template <typename Name, typename... Args>
struct Plain<Name, VkResult(VKAPI_PTR*)(Args...)> {
    using Pfn = VkResult(VKAPI_PTR*)(Args...);
    static VKAPI_ATTR VkResult VKAPI_CALL call(Args... args) {
        const auto failure = fault(Name::text);
        // Waiting fails after the wait: the driver is not really lost, and would go on using what the caller
        // then frees.
        constexpr bool kWaits = std::string_view(Name::text).find("Wait") != std::string_view::npos;
        if (failure && !kWaits) return *failure;
        const VkResult result = real<Pfn>(Name::text)(args...);
        if (failure) return *failure;
        if constexpr (same(Name::text, "vkEnumerateInstanceVersion")) {
            if (active->emulation.loader_version)
                *std::get<0>(std::tuple(args...)) = *active->emulation.loader_version;
        }
        return result;
    }
};

VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical_device, const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* allocator, VkDevice* device);

template <typename Name, typename Pfn>
struct Maker;

template <typename Name, typename... Args>
struct Maker<Name, VkResult(VKAPI_PTR*)(Args...)> {
    using Pfn = VkResult(VKAPI_PTR*)(Args...);
    static VKAPI_ATTR VkResult VKAPI_CALL call(Args... args) {
        const std::tuple<Args...> all(args...);
        auto* out = std::get<sizeof...(Args) - 1>(all);
        std::int64_t handles = 1;
        if constexpr (same(Name::text, "vkCreateComputePipelines")) handles = std::get<2>(all);
        if (const auto result = fault(Name::text)) {
            std::fill_n(out, handles, nullptr);
            return *result;
        }
        Pfn make = real<Pfn>(Name::text);
        if constexpr (same(Name::text, "vkCreateDevice")) make = create_device;
        const VkResult result = make(args...);
        if (result != VK_SUCCESS) return result;
        count(Name::text, handles);
        if constexpr (same(Name::text, "vkCreateInstance")) {
            remember_instance(*out);
        }
        return result;
    }
};

template <typename Name, typename Pfn>
struct Destroyer;

template <typename Name, typename... Args>
struct Destroyer<Name, void(VKAPI_PTR*)(Args...)> {
    using Pfn = void(VKAPI_PTR*)(Args...);
    static VKAPI_ATTR void VKAPI_CALL call(Args... args) {
        const std::tuple<Args...> all(args...);
        // vkDestroyX(parent, handle, allocator), and vkDestroyDevice(handle, allocator).
        if (std::get<sizeof...(Args) - 2>(all)) count(Name::maker, -1);
        {
            const std::lock_guard lock(active->mutex);
            ++active->calls[Name::text];
        }
        const Pfn function = real<Pfn>(Name::text);
        if constexpr (same(Name::text, "vkDestroyInstance")) {
            const std::lock_guard lock(active->mutex);
            std::erase(active->instances, std::get<0>(all));
        }
        function(args...);
    }
};

template <typename Name, typename Pfn>
struct Query;

template <typename Name, typename... Args>
struct Query<Name, void(VKAPI_PTR*)(Args...)> {
    using Pfn = void(VKAPI_PTR*)(Args...);
    static VKAPI_ATTR void VKAPI_CALL call(Args... args) {
        const std::tuple<Args...> all(args...);
        auto* out = std::get<sizeof...(Args) - 1>(all);
        if constexpr (same(Name::text, "vkGetPhysicalDeviceMemoryProperties2")) {
            void* const chain = out->pNext;
            if (active->budget_is_emulated) out->pNext = nullptr;  // the driver does not know what is there
            real<Pfn>(Name::text)(args...);
            out->pNext = chain;
        } else {
            real<Pfn>(Name::text)(args...);
        }
        const Emulation& e = active->emulation;
        if constexpr (same(Name::text, "vkGetPhysicalDeviceProperties")) change_properties(*out);
        if constexpr (same(Name::text, "vkGetPhysicalDeviceProperties2")) change_chain(out);
        if constexpr (same(Name::text, "vkGetPhysicalDeviceFeatures2")) change_chain(out);
        if constexpr (same(Name::text, "vkGetPhysicalDeviceMemoryProperties2")) change_memory(*out);
        if constexpr (same(Name::text, "vkGetPhysicalDeviceQueueFamilyProperties")) {
            for (std::uint32_t i = 0; out && i < *std::get<1>(all); ++i) {
                if (e.without_timestamps) out[i].timestampValidBits = 0;
                if (e.without_compute_queue) out[i].queueFlags &= ~VkQueueFlags{VK_QUEUE_COMPUTE_BIT};
            }
        }
        if constexpr (same(Name::text, "vkGetBufferMemoryRequirements")) {
            if (e.separate_host_memory) out->memoryTypeBits = 3;
        }
    }
};

// Functions that do more than the templates.

VKAPI_ATTR VkResult VKAPI_CALL enumerate_extensions(VkPhysicalDevice device, const char* layer,
                                                    std::uint32_t* count, VkExtensionProperties* list) {
    if (const auto result = fault("vkEnumerateDeviceExtensionProperties")) return *result;
    const auto call = real<PFN_vkEnumerateDeviceExtensionProperties>("vkEnumerateDeviceExtensionProperties");
    std::uint32_t real_count = 0;
    VkResult result = call(device, layer, &real_count, nullptr);
    std::vector<VkExtensionProperties> all(real_count);
    if (result >= 0) result = call(device, layer, &real_count, all.data());
    if (result < 0) return result;
    const auto named = [](const char* name) {
        return
            [name](const VkExtensionProperties& item) { return std::strcmp(item.extensionName, name) == 0; };
    };
    for (const std::string& hidden : active->emulation.without_extensions)
        std::erase_if(all, named(hidden.c_str()));
    if (active->emulation.heap_budget && !layer &&
        std::none_of(all.begin(), all.end(), named(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME))) {
        active->budget_is_emulated = true;
        all.push_back({VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, 1});
    }
    const auto size = static_cast<std::uint32_t>(all.size());
    if (!list) {
        *count = size;
        return VK_SUCCESS;
    }
    *count = std::min(*count, size);
    std::copy_n(all.begin(), *count, list);
    return *count < size ? VK_INCOMPLETE : VK_SUCCESS;
}

// Without what only the emulation has.
VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical_device, const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* allocator, VkDevice* device) {
    std::vector<const char*> extensions(info->ppEnabledExtensionNames,
                                        info->ppEnabledExtensionNames + info->enabledExtensionCount);
    if (active->budget_is_emulated)
        std::erase_if(extensions, [](const char* name) {
            return std::strcmp(name, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) == 0;
        });
    VkDeviceCreateInfo changed = *info;
    changed.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    changed.ppEnabledExtensionNames = extensions.data();
    return real<PFN_vkCreateDevice>("vkCreateDevice")(physical_device, &changed, allocator, device);
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device, const VkMemoryAllocateInfo* info,
                                               const VkAllocationCallbacks* allocator,
                                               VkDeviceMemory* memory) {
    if (const auto result = fault("vkAllocateMemory")) {
        *memory = VK_NULL_HANDLE;
        return *result;
    }
    VkMemoryAllocateInfo changed = *info;
    if (active->emulation.separate_host_memory) changed.memoryTypeIndex = 0;
    const VkResult result =
        real<PFN_vkAllocateMemory>("vkAllocateMemory")(device, &changed, allocator, memory);
    if (result != VK_SUCCESS) return result;
    count("vkAllocateMemory", 1);
    if (active->emulation.non_coherent) {
        const std::lock_guard lock(active->mutex);
        active->shadows[*memory] = {device, info->allocationSize, nullptr, {}};
    }
    return result;
}

VKAPI_ATTR void VKAPI_CALL free_memory(VkDevice device, VkDeviceMemory memory,
                                       const VkAllocationCallbacks* allocator) {
    if (memory) {
        count("vkAllocateMemory", -1);
        const std::lock_guard lock(active->mutex);
        ++active->calls["vkFreeMemory"];
        active->shadows.erase(memory);
    }
    real<PFN_vkFreeMemory>("vkFreeMemory")(device, memory, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL map_memory(VkDevice device, VkDeviceMemory memory, VkDeviceSize offset,
                                          VkDeviceSize size, VkMemoryMapFlags flags, void** pointer) {
    if (const auto result = fault("vkMapMemory")) return *result;
    const VkResult result =
        real<PFN_vkMapMemory>("vkMapMemory")(device, memory, offset, size, flags, pointer);
    if (result != VK_SUCCESS || !active->emulation.non_coherent) return result;
    const std::lock_guard lock(active->mutex);
    Shadow& shadow = active->shadows.at(memory);
    shadow.real = static_cast<std::byte*>(*pointer) - offset;
    shadow.copy.assign(shadow.bytes, std::byte{0x55});
    *pointer = shadow.copy.data() + offset;
    return result;
}

VKAPI_ATTR VkResult VKAPI_CALL flush_ranges(VkDevice device, std::uint32_t range_count,
                                            const VkMappedMemoryRange* ranges) {
    if (const auto result = fault("vkFlushMappedMemoryRanges")) return *result;
    for (std::uint32_t i = 0; i < range_count; ++i) copy_shadow(ranges[i], true);
    return real<PFN_vkFlushMappedMemoryRanges>("vkFlushMappedMemoryRanges")(device, range_count, ranges);
}

VKAPI_ATTR VkResult VKAPI_CALL invalidate_ranges(VkDevice device, std::uint32_t range_count,
                                                 const VkMappedMemoryRange* ranges) {
    if (const auto result = fault("vkInvalidateMappedMemoryRanges")) return *result;
    const VkResult result = real<PFN_vkInvalidateMappedMemoryRanges>("vkInvalidateMappedMemoryRanges")(
        device, range_count, ranges);
    for (std::uint32_t i = 0; i < range_count; ++i) copy_shadow(ranges[i], false);
    return result;
}

VKAPI_ATTR VkResult VKAPI_CALL set_name(VkDevice device, const VkDebugUtilsObjectNameInfoEXT* info) {
    if (info->pObjectName && *info->pObjectName) {
        const std::lock_guard lock(active->mutex);
        ++active->names[info->objectType];
    }
    return real<PFN_vkSetDebugUtilsObjectNameEXT>("vkSetDebugUtilsObjectNameEXT")(device, info);
}

VKAPI_ATTR void VKAPI_CALL pipeline_barrier(VkCommandBuffer commands, const VkDependencyInfo* info) {
    {
        const std::lock_guard lock(active->mutex);
        active->recorded += 'B';
    }
    real<PFN_vkCmdPipelineBarrier2>("vkCmdPipelineBarrier2")(commands, info);
}

VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer commands, std::uint32_t x, std::uint32_t y,
                                    std::uint32_t z) {
    {
        const std::lock_guard lock(active->mutex);
        active->recorded += 'D';
    }
    real<PFN_vkCmdDispatch>("vkCmdDispatch")(commands, x, y, z);
}

VKAPI_ATTR void VKAPI_CALL dispatch_indirect(VkCommandBuffer commands, VkBuffer buffer, VkDeviceSize offset) {
    {
        const std::lock_guard lock(active->mutex);
        active->recorded += 'I';
    }
    real<PFN_vkCmdDispatchIndirect>("vkCmdDispatchIndirect")(commands, buffer, offset);
}

VKAPI_ATTR void VKAPI_CALL begin_label(VkCommandBuffer commands, const VkDebugUtilsLabelEXT* label) {
    {
        const std::lock_guard lock(active->mutex);
        active->labels += std::string(label->pLabelName) + "{";
    }
    real<PFN_vkCmdBeginDebugUtilsLabelEXT>("vkCmdBeginDebugUtilsLabelEXT")(commands, label);
}

VKAPI_ATTR void VKAPI_CALL end_label(VkCommandBuffer commands) {
    {
        const std::lock_guard lock(active->mutex);
        active->labels += "}";
    }
    real<PFN_vkCmdEndDebugUtilsLabelEXT>("vkCmdEndDebugUtilsLabelEXT")(commands);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc_addr(VkInstance instance, const char* name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc_addr(VkDevice device, const char* name);

template <typename Function>
PFN_vkVoidFunction pointer_to(Function function) {
    return reinterpret_cast<PFN_vkVoidFunction>(function);
}

#define HERON_NAME(name)                           \
    struct Name##name {                            \
        static constexpr char text[] = "vk" #name; \
    };
#define HERON_NAMES(make, destroy)                    \
    HERON_NAME(make)                                  \
    struct Name##destroy {                            \
        static constexpr char text[] = "vk" #destroy; \
        static constexpr char maker[] = "vk" #make;   \
    };
HERON_PROXY_PLAIN(HERON_NAME)
HERON_PROXY_HANDLES(HERON_NAMES)
HERON_PROXY_QUERIES(HERON_NAME)

const std::map<std::string, PFN_vkVoidFunction>& hooks() {
    static const std::map<std::string, PFN_vkVoidFunction> table = [] {
        std::map<std::string, PFN_vkVoidFunction> all;
        // The special ones first: emplace keeps what is there.
        all.emplace("vkGetInstanceProcAddr", pointer_to(get_instance_proc_addr));
        all.emplace("vkGetDeviceProcAddr", pointer_to(get_device_proc_addr));
        all.emplace("vkEnumerateDeviceExtensionProperties", pointer_to(enumerate_extensions));
        all.emplace("vkAllocateMemory", pointer_to(allocate_memory));
        all.emplace("vkFreeMemory", pointer_to(free_memory));
        all.emplace("vkSetDebugUtilsObjectNameEXT", pointer_to(set_name));
        all.emplace("vkCmdBeginDebugUtilsLabelEXT", pointer_to(begin_label));
        all.emplace("vkCmdEndDebugUtilsLabelEXT", pointer_to(end_label));
        all.emplace("vkCmdPipelineBarrier2", pointer_to(pipeline_barrier));
        all.emplace("vkCmdDispatch", pointer_to(dispatch));
        all.emplace("vkCmdDispatchIndirect", pointer_to(dispatch_indirect));
        all.emplace("vkMapMemory", pointer_to(map_memory));
        all.emplace("vkFlushMappedMemoryRanges", pointer_to(flush_ranges));
        all.emplace("vkInvalidateMappedMemoryRanges", pointer_to(invalidate_ranges));
#define HERON_PLAIN(name) all.emplace("vk" #name, pointer_to(Plain<Name##name, PFN_vk##name>::call));
#define HERON_PAIR(make, destroy)                                               \
    all.emplace("vk" #make, pointer_to(Maker<Name##make, PFN_vk##make>::call)); \
    all.emplace("vk" #destroy, pointer_to(Destroyer<Name##destroy, PFN_vk##destroy>::call));
#define HERON_QUERY(name) all.emplace("vk" #name, pointer_to(Query<Name##name, PFN_vk##name>::call));
        HERON_PROXY_PLAIN(HERON_PLAIN)
        HERON_PROXY_HANDLES(HERON_PAIR)
        HERON_PROXY_QUERIES(HERON_QUERY)
        return all;
    }();
    return table;
}

PFN_vkVoidFunction get_instance_proc_addr(VkInstance instance, const char* name) {
    if (instance) remember_instance(instance);
    const PFN_vkVoidFunction function = active->next(instance, name);
    const auto hook = hooks().find(name);
    return function && hook != hooks().end() ? hook->second : function;
}

PFN_vkVoidFunction get_device_proc_addr(VkDevice device, const char* name) {
    const auto hook = hooks().find(name);
    if (hook != hooks().end()) return hook->second;
    return real<PFN_vkGetDeviceProcAddr>("vkGetDeviceProcAddr")(device, name);
}

}  // namespace

VulkanProxy::VulkanProxy(PFN_vkGetInstanceProcAddr next, Emulation emulation) {
    if (active) throw std::logic_error("a VulkanProxy exists already");
    active = new State;
    active->next = next;
    active->emulation = std::move(emulation);
}

VulkanProxy::~VulkanProxy() {
    delete active;
    active = nullptr;
}

PFN_vkGetInstanceProcAddr VulkanProxy::entry() const { return get_instance_proc_addr; }

std::map<std::string, std::int64_t> VulkanProxy::live() const {
    const std::lock_guard lock(active->mutex);
    return active->live;
}

std::string VulkanProxy::live_text() const {
    std::string text;
    for (const auto& [name, handles] : live())
        text += (text.empty() ? "" : ", ") + name + " " + std::to_string(handles);
    return text;
}

std::uint64_t VulkanProxy::calls(const std::string& name) const {
    const std::lock_guard lock(active->mutex);
    const auto found = active->calls.find(name);
    return found == active->calls.end() ? 0 : found->second;
}

std::uint64_t VulkanProxy::names_given(VkObjectType type) const {
    const std::lock_guard lock(active->mutex);
    const auto found = active->names.find(type);
    return found == active->names.end() ? 0 : found->second;
}

std::uint64_t VulkanProxy::fallible_calls() const {
    const std::lock_guard lock(active->mutex);
    return active->fallible;
}

void VulkanProxy::fail_call(std::uint64_t index, VkResult result) {
    const std::lock_guard lock(active->mutex);
    active->fallible = 0;
    active->target = index;
    active->target_result = result;
    active->failed.clear();
}

void VulkanProxy::fail_function(const std::string& name, VkResult result) {
    const std::lock_guard lock(active->mutex);
    active->always[name] = result;
    active->failed.clear();
}

void VulkanProxy::stop_failing() {
    const std::lock_guard lock(active->mutex);
    active->target.reset();
    active->always.clear();
}

std::string VulkanProxy::take_recorded() {
    const std::lock_guard lock(active->mutex);
    return std::exchange(active->recorded, std::string());
}

std::string VulkanProxy::take_labels() {
    const std::lock_guard lock(active->mutex);
    return std::exchange(active->labels, std::string());
}

std::string VulkanProxy::failed() const {
    const std::lock_guard lock(active->mutex);
    return active->failed;
}

}  // namespace heron::test
