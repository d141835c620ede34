// SPDX-License-Identifier: MIT
#include "heron_memory.hpp"

#include "support/bad_input.hpp"

#if FRAME_LOOP_HAVE_VMA

#include <algorithm>
#include <string_view>

#include "vma_memory.hpp"

struct HeronMemory::Vma {
    VmaAllocator allocator = nullptr;
    VmaMemory memory;

    Vma(VmaAllocator made, std::span<const std::uint32_t> families)
        : allocator(made), memory(made, families) {}
    Vma(const Vma&) = delete;
    Vma& operator=(const Vma&) = delete;
    ~Vma() { vmaDestroyAllocator(allocator); }
};

HeronMemory::HeronMemory(const Context& context, DeviceMemory& memory, bool vma) : memory_(memory) {
    if (!vma) return;
    const heron::AdoptedDevice handles = context.handles();
    VmaVulkanFunctions functions{};
    functions.vkGetInstanceProcAddr = context.loader();
    functions.vkGetDeviceProcAddr =
        reinterpret_cast<PFN_vkGetDeviceProcAddr>(context.loader()(handles.instance, "vkGetDeviceProcAddr"));
    VmaAllocatorCreateInfo info{};
    info.flags = VMA_ALLOCATOR_CREATE_BUFFER_DEVICE_ADDRESS_BIT;
    if (std::ranges::any_of(handles.enabled_extensions, [](std::string_view extension) {
            return extension == VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
        }))
        info.flags |= VMA_ALLOCATOR_CREATE_EXT_MEMORY_BUDGET_BIT;
    info.instance = handles.instance;
    info.physicalDevice = handles.physical_device;
    info.device = handles.device;
    info.pVulkanFunctions = &functions;
    info.vulkanApiVersion = handles.api_version;
    VmaAllocator allocator = nullptr;
    samples::check(vmaCreateAllocator(&info, &allocator), "vmaCreateAllocator");
    vma_ = std::make_unique<Vma>(allocator, context.families());
}

heron::MemoryCallbacks HeronMemory::callbacks() {
    return vma_ ? vma_->memory.callbacks() : memory_.callbacks();
}

std::uint64_t HeronMemory::allocations() const {
    return memory_.allocations() + (vma_ ? vma_->memory.allocations() : 0);
}

#else

struct HeronMemory::Vma {};

HeronMemory::HeronMemory(const Context&, DeviceMemory& memory, bool vma) : memory_(memory) {
    if (vma) throw samples::BadInput("--vma: vk_mem_alloc.h was not found when this program was built");
}

heron::MemoryCallbacks HeronMemory::callbacks() { return memory_.callbacks(); }

std::uint64_t HeronMemory::allocations() const { return memory_.allocations(); }

#endif

HeronMemory::~HeronMemory() = default;
