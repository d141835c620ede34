// SPDX-License-Identifier: MIT
// A device from its opening to its end: what it is, errors, names.
#include "core/device.hpp"

#include <algorithm>
#include <cstring>

namespace heron {

void Device::Impl::open(const Opening& opening, const DeviceOptions& options) {
    // Ids start at 1. The counter is the one thing that devices share; it only tells them apart.
    constinit static std::atomic<std::uint64_t> last_id{0};
    id = ++last_id;

    const Probe& probe = opening.probe;
    const Features features = without_extensions_missing(opening.features, opening.extensions);
    info = probe.info;
    info.reason = opening.reason;
    cooperative_matrix_shapes =
        heron::cooperative_matrix_shapes(instance.vk, physical_device, opening.extensions);
    capabilities = capabilities_of(
        probe, features, opening.extensions, queue_family, cooperative_matrix_shapes,
        workgroup_matrices(instance.vk, physical_device, opening.extensions), options.disable);
    capabilities.debug_utils = vk.SetDebugUtilsObjectNameEXT != nullptr;
    if (capabilities.cooperative_matrix2)
        cooperative_matrix2_features = without(features, options.disable).cooperative_matrix2;
    keeps_constants_open = probe.driver_id == VK_DRIVER_ID_GOOGLE_SWIFTSHADER;
    one_subgroup_size = probe.v13.minSubgroupSize == probe.v13.maxSubgroupSize;
    limits = probe.properties.limits;
    driver_version = probe.properties.driverVersion;
    std::copy_n(probe.properties.pipelineCacheUUID, VK_UUID_SIZE, pipeline_cache_uuid.begin());
    non_coherent_atom = std::max<VkDeviceSize>(1, limits.nonCoherentAtomSize);

    VkSemaphoreTypeCreateInfo type{};
    type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo create_info{};
    create_info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
    create_info.pNext = &type;
    check(vk.CreateSemaphore(device, &create_info, allocator, &timeline), "vkCreateSemaphore", "timeline");
    name(VK_OBJECT_TYPE_SEMAPHORE, timeline, "heron timeline");
    if (owns_device) {
        name(VK_OBJECT_TYPE_DEVICE, device, "heron device");
        name(VK_OBJECT_TYPE_QUEUE, queue, "heron queue");
    }

    memory = std::make_unique<Memory>(*this, options.memory);
    pipelines = std::make_unique<Pipelines>(*this, opening.pipeline_cache, options.pipeline_cache);
}

Device::Impl::~Impl() {
    settle(timeline, submitted_);
    // Of copies that timed out. Their memory must not go while the queue may still use it.
    for (Abandoned& item : abandoned_) vk.DestroyCommandPool(device, item.pool, allocator);
    abandoned_.clear();
    pipelines.reset();
    memory.reset();
    if (timeline) vk.DestroySemaphore(device, timeline, allocator);
    if (owns_device && device && vk.DestroyDevice) vk.DestroyDevice(device, allocator);
}

void Device::Impl::check(VkResult result, const char* call, std::string_view what) const {
    if (result == VK_SUCCESS) return;
    if (result == VK_ERROR_DEVICE_LOST) lost_.store(true, std::memory_order_relaxed);
    throw_result(result, call, what);
}

void Device::Impl::check_alive() const {
    if (lost())
        throw Error(
            ErrorCode::device_lost,
            info.name + " was lost by an earlier call: destroy the Device and all that was made from it",
            VK_ERROR_DEVICE_LOST);
}

void Device::Impl::log(Severity severity, std::string_view text) const {
    if (log_callback) log_callback(severity, text);
}

void Device::Impl::name(VkObjectType type, std::uint64_t handle, std::string_view text) const noexcept {
    if (!vk.SetDebugUtilsObjectNameEXT || handle == 0) return;
    char buffer[128];  // names are short; no allocation that could fail
    const std::size_t length = std::min(text.size(), sizeof buffer - 1);
    std::memcpy(buffer, text.data(), length);
    buffer[length] = '\0';
    VkDebugUtilsObjectNameInfoEXT name_info{};
    name_info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT;
    name_info.objectType = type;
    name_info.objectHandle = handle;
    name_info.pObjectName = buffer;
    // A name that is not set harms nobody; a lost device will be told by the next call that matters.
    (void)vk.SetDebugUtilsObjectNameEXT(device, &name_info);
}

void Device::Impl::begin_label(VkCommandBuffer commands, const char* text) const noexcept {
    if (!vk.CmdBeginDebugUtilsLabelEXT) return;
    VkDebugUtilsLabelEXT label{};
    label.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT;
    label.pLabelName = text;
    vk.CmdBeginDebugUtilsLabelEXT(commands, &label);
}

void Device::Impl::end_label(VkCommandBuffer commands) const noexcept {
    if (vk.CmdEndDebugUtilsLabelEXT) vk.CmdEndDebugUtilsLabelEXT(commands);
}

Device::Device(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Device::Device(Device&&) noexcept = default;
Device& Device::operator=(Device&&) noexcept = default;
Device::~Device() = default;

const DeviceInfo& Device::info() const { return impl_->info; }
std::uint64_t Device::id() const { return impl_->id; }
const Capabilities& Device::capabilities() const { return impl_->capabilities; }

std::string Device::explain() const {
    const DeviceInfo& info = impl_->info;
    return info.name + ", " + info.type_text() + ", " + info.driver + ": " + info.reason;
}

VkInstance Device::instance() const { return impl_->instance.handle; }
VkPhysicalDevice Device::physical_device() const { return impl_->physical_device; }
VkDevice Device::handle() const { return impl_->device; }
std::uint32_t Device::queue_family() const { return impl_->queue_family; }
VkQueue Device::queue() const { return impl_->queue; }

std::vector<std::byte> Device::pipeline_cache_bytes() const {
    impl_->check_alive();
    return impl_->pipelines->cache_bytes();
}

std::uint64_t Device::pipelines_compiled() const { return impl_->pipelines->compiled(); }

bool Device::lost() const { return impl_->lost(); }

}  // namespace heron
