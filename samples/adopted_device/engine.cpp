// SPDX-License-Identifier: MIT
// The host program's own Vulkan, as short as it can be.
#include "engine.hpp"

#include <limits>
#include <stdexcept>

#include "heron/spirv/engine_backward_samples.hpp"
#include "heron/spirv/engine_backward_weights.hpp"
#include "heron/spirv/engine_render.hpp"
#include "support/compute_pipeline.hpp"

using samples::check;

namespace {

constexpr std::uint64_t kTimeoutNs = 60'000'000'000;
constexpr VkBufferUsageFlags kUsage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                      VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
                                      VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;

}  // namespace

MemoryBlock::MemoryBlock(const samples::DeviceFunctions& vk, VkDevice device,
                         const VkPhysicalDeviceMemoryProperties& types, VkMemoryPropertyFlags wanted,
                         VkDeviceSize bytes)
    : vk_(&vk), device_(device), bytes_(bytes) {
    const VkBufferCreateInfo buffer_info{
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = bytes, .usage = kUsage};
    check(vk.CreateBuffer(device, &buffer_info, nullptr, &buffer_), "vkCreateBuffer");
    VkMemoryRequirements needs{};
    vk.GetBufferMemoryRequirements(device, buffer_, &needs);
    std::uint32_t type = 0;
    while (type < types.memoryTypeCount && (!(needs.memoryTypeBits & 1u << type) ||
                                            (types.memoryTypes[type].propertyFlags & wanted) != wanted))
        ++type;
    if (type == types.memoryTypeCount) throw std::runtime_error("the device has no fitting memory type");
    const VkMemoryAllocateFlagsInfo flags{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                          .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    const VkMemoryAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                        .pNext = &flags,
                                        .allocationSize = needs.size,
                                        .memoryTypeIndex = type};
    check(vk.AllocateMemory(device, &allocate, nullptr, &memory_), "vkAllocateMemory");
    check(vk.BindBufferMemory(device, buffer_, memory_, 0), "vkBindBufferMemory");
    if (wanted & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)
        check(vk.MapMemory(device, memory_, 0, VK_WHOLE_SIZE, 0, &mapped_), "vkMapMemory");
    const VkBufferDeviceAddressInfo address{.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                            .buffer = buffer_};
    address_ = vk.GetBufferDeviceAddress(device, &address);
}

MemoryBlock::~MemoryBlock() {
    vk_->DestroyBuffer(device_, buffer_, nullptr);
    vk_->FreeMemory(device_, memory_, nullptr);
}

heron::BufferRange MemoryBlock::take(VkDeviceSize bytes) {
    const VkDeviceSize rounded = (bytes + 255) / 256 * 256;
    if (rounded > bytes_ - used_) throw std::runtime_error("the engine's memory block is too small");
    const VkDeviceSize offset = used_;
    used_ += rounded;
    return {.buffer = buffer_,
            .offset = offset,
            .bytes = rounded,
            .usage = kUsage,
            .mapped = mapped_ ? static_cast<char*>(mapped_) + offset : nullptr};
}

Engine::Engine(std::uint32_t physical_device_index) : get_(samples::open_vulkan()) {
    const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                        .pApplicationName = "adopted_device",
                                        .apiVersion = VK_API_VERSION_1_3};
    const VkInstanceCreateInfo instance_info{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                             .pApplicationInfo = &application};
    const auto create_instance = reinterpret_cast<PFN_vkCreateInstance>(get_(nullptr, "vkCreateInstance"));
    check(create_instance(&instance_info, nullptr, &instance_), "vkCreateInstance");
    const auto& fi = instance_functions_ = samples::InstanceFunctions(get_, instance_);

    std::uint32_t count = 0;
    check(fi.EnumeratePhysicalDevices(instance_, &count, nullptr), "vkEnumeratePhysicalDevices");
    std::vector<VkPhysicalDevice> devices(count);
    check(fi.EnumeratePhysicalDevices(instance_, &count, devices.data()), "vkEnumeratePhysicalDevices");
    if (physical_device_index >= devices.size())
        throw std::runtime_error("there is no device " + std::to_string(physical_device_index) +
                                 ", found: " + std::to_string(devices.size()));
    physical_device_ = devices[physical_device_index];
    VkPhysicalDeviceProperties properties{};
    fi.GetPhysicalDeviceProperties(physical_device_, &properties);
    name_ = properties.deviceName;

    fi.GetPhysicalDeviceQueueFamilyProperties(physical_device_, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    fi.GetPhysicalDeviceQueueFamilyProperties(physical_device_, &count, families.data());
    while (queue_family_ < count && !(families[queue_family_].queueFlags & VK_QUEUE_COMPUTE_BIT))
        ++queue_family_;
    if (queue_family_ == count) throw std::runtime_error(name_ + " has no compute queue");

    // Everything that Heron needs, and what it can use beyond that; the engine's own features would be merged
    // into it.
    features_.emplace(get_, instance_, physical_device_);
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue_info{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                             .queueFamilyIndex = queue_family_,
                                             .queueCount = 1,
                                             .pQueuePriorities = &priority};
    const auto extensions = features_->extensions();
    const VkDeviceCreateInfo device_info{
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = features_->features(),
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue_info,
        .enabledExtensionCount = static_cast<std::uint32_t>(extensions.size()),
        .ppEnabledExtensionNames = extensions.data()};
    check(fi.CreateDevice(physical_device_, &device_info, nullptr, &device_), "vkCreateDevice");
    vk_ = samples::DeviceFunctions(fi.GetDeviceProcAddr, device_);
    vk_.GetDeviceQueue(device_, queue_family_, 0, &queue_);

    VkPhysicalDeviceMemoryProperties types{};
    fi.GetPhysicalDeviceMemoryProperties(physical_device_, &types);
    device_memory_.emplace(vk_, device_, types, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, VkDeviceSize{8} << 20);
    host_memory_.emplace(vk_, device_, types,
                         VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                         VkDeviceSize{4} << 20);
    for (Frame& frame : frames_) {
        const VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                           .queueFamilyIndex = queue_family_};
        check(vk_.CreateCommandPool(device_, &pool, nullptr, &frame.pool), "vkCreateCommandPool");
        const VkCommandBufferAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                   .commandPool = frame.pool,
                                                   .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                   .commandBufferCount = 1};
        check(vk_.AllocateCommandBuffers(device_, &allocate, &frame.commands), "vkAllocateCommandBuffers");
        const VkFenceCreateInfo fence{.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO,
                                      .flags = VK_FENCE_CREATE_SIGNALED_BIT};
        check(vk_.CreateFence(device_, &fence, nullptr, &frame.fence), "vkCreateFence");
    }
    create_pipelines();
}

Engine::~Engine() {
    vk_.DeviceWaitIdle(device_);
    device_memory_.reset();
    host_memory_.reset();
    for (Frame& frame : frames_) {
        vk_.DestroyFence(device_, frame.fence, nullptr);
        vk_.DestroyCommandPool(device_, frame.pool, nullptr);
    }
    for (VkPipeline pipeline : pipelines_) vk_.DestroyPipeline(device_, pipeline, nullptr);
    vk_.DestroyPipelineLayout(device_, layout_, nullptr);
    vk_.DestroyDevice(device_, nullptr);
    instance_functions_.DestroyInstance(instance_, nullptr);
}

heron::AdoptedDevice Engine::handles() const {
    // Without a queue: whatever Heron does goes through this engine's command buffers.
    return {.get_instance_proc_addr = get_,
            .instance = instance_,
            .physical_device = physical_device_,
            .device = device_,
            .queue_family = queue_family_,
            .api_version = VK_API_VERSION_1_3,
            .enabled_features = features_->features(),
            .enabled_extensions = features_->extensions()};
}

void Engine::create_pipelines() {
    layout_ = samples::create_pipeline_layout(vk_, device_, VK_SHADER_STAGE_COMPUTE_BIT,
                                              sizeof(heron::gpu::EnginePush));
    const auto pipeline = [&](std::span<const std::uint32_t> spirv) {
        return samples::create_compute_pipeline(vk_, device_, spirv, layout_);
    };
    pipelines_ = {pipeline(heron::spirv::engine_backward_samples),
                  pipeline(heron::spirv::engine_backward_weights), pipeline(heron::spirv::engine_render)};
}

void Engine::dispatch(VkCommandBuffer commands, Shader shader, const heron::gpu::EnginePush& push,
                      std::uint32_t invocations) {
    vk_.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                        pipelines_[static_cast<std::size_t>(shader)]);
    vk_.CmdPushConstants(commands, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
    vk_.CmdDispatch(commands, (invocations + heron::gpu::THREADS - 1) / heron::gpu::THREADS, 1, 1);
}

void Engine::barrier(VkCommandBuffer commands, bool host) {
    const VkMemoryBarrier2 barrier{
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
        .srcStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT,
        .srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT,
        .dstStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT | (host ? VK_PIPELINE_STAGE_2_HOST_BIT : 0),
        .dstAccessMask = VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT |
                         (host ? VK_ACCESS_2_HOST_READ_BIT : 0)};
    const VkDependencyInfo dependency{
        .sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO, .memoryBarrierCount = 1, .pMemoryBarriers = &barrier};
    vk_.CmdPipelineBarrier2(commands, &dependency);
}

VkCommandBuffer Engine::begin_frame() {
    Frame& frame = frames_[frame_];
    check(vk_.WaitForFences(device_, 1, &frame.fence, VK_TRUE, kTimeoutNs), "vkWaitForFences");
    check(vk_.ResetCommandPool(device_, frame.pool, 0), "vkResetCommandPool");
    const VkCommandBufferBeginInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    check(vk_.BeginCommandBuffer(frame.commands, &info), "vkBeginCommandBuffer");
    return frame.commands;
}

void Engine::end_frame() {
    Frame& frame = frames_[frame_];
    check(vk_.EndCommandBuffer(frame.commands), "vkEndCommandBuffer");
    const VkCommandBufferSubmitInfo commands{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
                                             .commandBuffer = frame.commands};
    const VkSubmitInfo2 submit{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
                               .commandBufferInfoCount = 1,
                               .pCommandBufferInfos = &commands};
    check(vk_.ResetFences(device_, 1, &frame.fence), "vkResetFences");
    check(vk_.QueueSubmit2(queue_, 1, &submit, frame.fence), "vkQueueSubmit2");
    frame_ = (frame_ + 1) % frames_.size();
}

void Engine::wait_idle() { check(vk_.DeviceWaitIdle(device_), "vkDeviceWaitIdle"); }
