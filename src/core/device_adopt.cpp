// SPDX-License-Identifier: MIT
// The application's device: what is refused, and what is taken over.
#include <algorithm>
#include <string>
#include <vector>

#include "core/device.hpp"

namespace heron {

Device Device::adopt(const AdoptedDevice& handles, const DeviceOptions& options) {
    check_device_options(options);
    auto refuse = [](bool wrong, const std::string& text) {
        if (wrong) throw Error(ErrorCode::invalid_argument, "Device::adopt: " + text);
    };
    refuse(!handles.get_instance_proc_addr,
           "get_instance_proc_addr is null; give the loader's vkGetInstanceProcAddr");
    refuse(!handles.instance, "instance is null");
    refuse(!handles.physical_device, "physical_device is null");
    refuse(!handles.device, "device is null");
    refuse(
        !handles.enabled_features,
        "enabled_features is null; give the chain that vkCreateDevice got (heron::FeatureChain makes one)");
    refuse(!handles.lock_queue != !handles.unlock_queue, "only one of lock_queue and unlock_queue is set");
    if (handles.api_version < VK_API_VERSION_1_3)
        throw Error(ErrorCode::unsupported, "Device::adopt: the instance is for Vulkan " +
                                                version_text(handles.api_version) +
                                                "; set VkApplicationInfo::apiVersion to 1.3 or more");
    std::vector<std::string> extensions;
    for (const char* name : handles.enabled_extensions) {
        refuse(!name, "enabled_extensions contains a null pointer");
        extensions.emplace_back(name);
    }

    auto impl = std::make_unique<Impl>();
    impl->allocator = options.allocator;
    impl->log_callback = options.log;
    impl->lock_queue = handles.lock_queue;
    impl->unlock_queue = handles.unlock_queue;
    Instance& instance = impl->instance;
    instance.vk.GetInstanceProcAddr = handles.get_instance_proc_addr;
    instance.handle = handles.instance;
    instance.vk.load_instance(handles.instance);
    // An instance's extension, so that it is in no device's list. Loaders give its instance functions only
    // where the caller has enabled it (those of devices, some give always).
    instance.debug_utils =
        options.debug_names &&
        handles.get_instance_proc_addr(handles.instance, "vkCreateDebugUtilsMessengerEXT") != nullptr;
    if (instance.debug_utils) instance.vk.load_debug(handles.instance);

    const std::vector<VkPhysicalDevice> physical_devices = instance.physical_devices();
    const auto found = std::find(physical_devices.begin(), physical_devices.end(), handles.physical_device);
    refuse(found == physical_devices.end(), "physical_device is not one of this instance's");
    const Probe probe = probe_device(instance.vk, handles.physical_device,
                                     static_cast<std::uint32_t>(found - physical_devices.begin()));
    if (!probe.info.usable)
        throw Error(ErrorCode::unsupported, "Device::adopt: " + probe.info.name + ": " + probe.info.reason);
    refuse(handles.queue_family >= probe.queue_families.size(),
           "queue_family is " + std::to_string(handles.queue_family) + ", the device has " +
               std::to_string(probe.queue_families.size()));
    refuse((probe.queue_families[handles.queue_family].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0,
           "queue family " + std::to_string(handles.queue_family) +
               " has no compute; choose one with VK_QUEUE_COMPUTE_BIT");
    impl->queue_families = {handles.queue_family};
    for (const std::uint32_t family : handles.other_queue_families) {
        refuse(family >= probe.queue_families.size(), "other_queue_families has " + std::to_string(family) +
                                                          ", the device has " +
                                                          std::to_string(probe.queue_families.size()));
        auto& families = impl->queue_families;
        if (std::find(families.begin(), families.end(), family) == families.end()) families.push_back(family);
    }

    const Features features = read_features(handles.enabled_features);
    const std::string missing = missing_baseline(features);
    if (!missing.empty())
        throw Error(ErrorCode::unsupported,
                    "Device::adopt: enabled_features lacks " + missing +
                        "; enable them at vkCreateDevice, for example with the chain of heron::FeatureChain");

    impl->physical_device = handles.physical_device;
    impl->device = handles.device;
    impl->queue = handles.queue;
    impl->queue_family = handles.queue_family;
    impl->vk = instance.vk;
    impl->vk.load_device(handles.device);
    impl->open({probe, features, extensions, handles.pipeline_cache, "adopted from the application"},
               options);
    Device device(std::move(impl));
    device.impl_->log(Severity::info, device.explain());
    return device;
}

}  // namespace heron
