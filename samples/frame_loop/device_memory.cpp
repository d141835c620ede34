// SPDX-License-Identifier: MIT
#include "device_memory.hpp"

#include <stdexcept>

using samples::check;

namespace {

constexpr VkBufferUsageFlags kUsage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                      VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
                                      VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
// lavapipe 26.1 reads whole vectors of invocations, past the end of what is asked for.
constexpr VkDeviceSize kTailBytes = 65536;

VkMemoryPropertyFlags properties_of(heron::MemoryKind kind) {
    if (kind == heron::MemoryKind::device) return VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    return VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
}

}  // namespace

DeviceMemory::~DeviceMemory() {
    const auto& vk = context_.vk();
    for (const auto& [buffer, memory] : memory_of_) {
        vk.DestroyBuffer(context_.device(), buffer, nullptr);
        vk.FreeMemory(context_.device(), memory, nullptr);
    }
}

VkDeviceMemory DeviceMemory::allocate_memory(const VkMemoryRequirements& needs, VkMemoryPropertyFlags wanted,
                                             const void* next) {
    const VkPhysicalDeviceMemoryProperties& types = context_.memory_types();
    std::uint32_t type = 0;
    while (type < types.memoryTypeCount && ((needs.memoryTypeBits & 1u << type) == 0 ||
                                            (types.memoryTypes[type].propertyFlags & wanted) != wanted))
        ++type;
    if (type == types.memoryTypeCount) throw std::runtime_error("the device has no fitting memory type");
    const VkMemoryAllocateInfo info{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                    .pNext = next,
                                    .allocationSize = needs.size,
                                    .memoryTypeIndex = type};
    VkDeviceMemory memory = VK_NULL_HANDLE;
    check(context_.vk().AllocateMemory(context_.device(), &info, nullptr, &memory), "vkAllocateMemory");
    const std::lock_guard lock(mutex_);
    ++allocations_;
    return memory;
}

heron::BufferRange DeviceMemory::allocate(const heron::MemoryRequest& request) {
    const auto& vk = context_.vk();
    const VkDevice device = context_.device();
    const auto families = context_.families();
    const bool shared = families.size() > 1;
    const VkBufferCreateInfo info{
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = request.bytes + kTailBytes,
        .usage = kUsage,
        .sharingMode = shared ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE,
        .queueFamilyIndexCount = shared ? static_cast<std::uint32_t>(families.size()) : 0,
        .pQueueFamilyIndices = families.data()};
    VkBuffer buffer = VK_NULL_HANDLE;
    check(vk.CreateBuffer(device, &info, nullptr, &buffer), "vkCreateBuffer");
    VkMemoryRequirements needs{};
    vk.GetBufferMemoryRequirements(device, buffer, &needs);
    const VkMemoryAllocateFlagsInfo flags{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                          .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    const VkDeviceMemory memory = allocate_memory(needs, properties_of(request.kind), &flags);
    check(vk.BindBufferMemory(device, buffer, memory, 0), "vkBindBufferMemory");
    void* mapped = nullptr;
    if (request.kind != heron::MemoryKind::device)
        check(vk.MapMemory(device, memory, 0, VK_WHOLE_SIZE, 0, &mapped), "vkMapMemory");
    const std::lock_guard lock(mutex_);
    memory_of_[buffer] = memory;
    return {.buffer = buffer, .bytes = request.bytes, .usage = kUsage, .mapped = mapped};
}

void DeviceMemory::free(const heron::BufferRange& range) {
    const std::lock_guard lock(mutex_);
    const auto found = memory_of_.find(range.buffer);
    if (found == memory_of_.end()) return;
    context_.vk().DestroyBuffer(context_.device(), range.buffer, nullptr);
    context_.vk().FreeMemory(context_.device(), found->second, nullptr);
    memory_of_.erase(found);
}

VkDeviceAddress DeviceMemory::address(const heron::BufferRange& range) const {
    const VkBufferDeviceAddressInfo info{.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                         .buffer = range.buffer};
    return context_.vk().GetBufferDeviceAddress(context_.device(), &info) + range.offset;
}

Picture DeviceMemory::create_picture(VkFormat format, VkExtent2D size, VkImageUsageFlags usage,
                                     VkImageAspectFlags aspect) {
    const auto& vk = context_.vk();
    const VkDevice device = context_.device();
    const VkImageCreateInfo info{.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
                                 .imageType = VK_IMAGE_TYPE_2D,
                                 .format = format,
                                 .extent = {size.width, size.height, 1},
                                 .mipLevels = 1,
                                 .arrayLayers = 1,
                                 .samples = VK_SAMPLE_COUNT_1_BIT,
                                 .tiling = VK_IMAGE_TILING_OPTIMAL,
                                 .usage = usage};
    Picture picture;
    check(vk.CreateImage(device, &info, nullptr, &picture.image), "vkCreateImage");
    VkMemoryRequirements needs{};
    vk.GetImageMemoryRequirements(device, picture.image, &needs);
    picture.memory = allocate_memory(needs, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, nullptr);
    check(vk.BindImageMemory(device, picture.image, picture.memory, 0), "vkBindImageMemory");
    const VkImageViewCreateInfo view{
        .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
        .image = picture.image,
        .viewType = VK_IMAGE_VIEW_TYPE_2D,
        .format = format,
        .subresourceRange = {.aspectMask = aspect, .levelCount = 1, .layerCount = 1}};
    check(vk.CreateImageView(device, &view, nullptr, &picture.view), "vkCreateImageView");
    return picture;
}

void DeviceMemory::destroy(Picture& picture) {
    const auto& vk = context_.vk();
    vk.DestroyImageView(context_.device(), picture.view, nullptr);
    vk.DestroyImage(context_.device(), picture.image, nullptr);
    vk.FreeMemory(context_.device(), picture.memory, nullptr);
    picture = {};
}

heron::MemoryCallbacks DeviceMemory::callbacks() {
    return {.allocate = [this](const heron::MemoryRequest& request) { return allocate(request); },
            .free = [this](const heron::BufferRange& range) { free(range); }};
}

std::uint64_t DeviceMemory::allocations() const {
    const std::lock_guard lock(mutex_);
    return allocations_;
}
