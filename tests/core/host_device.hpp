// SPDX-License-Identifier: MIT
// An engine's own instance and device, made with plain Vulkan calls and heron::FeatureChain, for tests of
// adoption.
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/device.hpp"
#include "support/device_fixture.hpp"

namespace heron::test {

struct HostDevice {
    AdoptedDevice adopted;
    VkInstance instance = VK_NULL_HANDLE;
    VkPhysicalDevice physical_device = VK_NULL_HANDLE;
    VkDevice device = VK_NULL_HANDLE;
    std::unique_ptr<FeatureChain> chain;
    bool owned = false;

    // The handles of a Device stand for an engine's.
    static HostDevice of(const Device& engine) {
        HostDevice host;
        host.adopted.get_instance_proc_addr = validated_entry();
        host.instance = host.adopted.instance = engine.instance();
        host.physical_device = host.adopted.physical_device = engine.physical_device();
        host.device = host.adopted.device = engine.handle();
        host.adopted.queue_family = engine.queue_family();
        host.adopted.queue = engine.queue();
        host.chain = std::make_unique<FeatureChain>(validated_entry(), host.instance, host.physical_device);
        host.adopted.enabled_features = host.chain->features();
        host.adopted.enabled_extensions = host.chain->extensions();
        return host;
    }

    // Without debug names, validation is out, too: it brings them.
    explicit HostDevice(const DeviceInfo& info, const DisabledCapabilities& disable = {},
                        bool debug_names = true)
        : owned(true) {
        adopted.get_instance_proc_addr = debug_names ? validated_entry() : plain_entry();
        VkApplicationInfo application{};
        application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
        application.apiVersion = VK_API_VERSION_1_3;
        const char* const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
        VkInstanceCreateInfo instance_info{};
        instance_info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
        instance_info.pApplicationInfo = &application;
        instance_info.enabledExtensionCount = debug_names ? 1 : 0;
        instance_info.ppEnabledExtensionNames = extensions;
        need(function<PFN_vkCreateInstance>("vkCreateInstance")(&instance_info, nullptr, &instance));
        std::uint32_t count = 0;
        const auto enumerate = function<PFN_vkEnumeratePhysicalDevices>("vkEnumeratePhysicalDevices");
        need(enumerate(instance, &count, nullptr));
        std::vector<VkPhysicalDevice> handles(count);
        need(enumerate(instance, &count, handles.data()));
        physical_device = handles.at(info.index);

        chain = std::make_unique<FeatureChain>(adopted.get_instance_proc_addr, instance, physical_device,
                                               VK_API_VERSION_1_3, disable);
        const auto get_families = function<PFN_vkGetPhysicalDeviceQueueFamilyProperties>(
            "vkGetPhysicalDeviceQueueFamilyProperties");
        get_families(physical_device, &count, nullptr);
        std::vector<VkQueueFamilyProperties> families(count);
        get_families(physical_device, &count, families.data());
        while ((families.at(adopted.queue_family).queueFlags & VK_QUEUE_COMPUTE_BIT) == 0)
            ++adopted.queue_family;
        const float priority = 1.0f;
        VkDeviceQueueCreateInfo queue_info{};
        queue_info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
        queue_info.queueFamilyIndex = adopted.queue_family;
        queue_info.queueCount = 1;
        queue_info.pQueuePriorities = &priority;
        VkDeviceCreateInfo device_info{};
        device_info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
        device_info.pNext = chain->features();
        device_info.queueCreateInfoCount = 1;
        device_info.pQueueCreateInfos = &queue_info;
        device_info.enabledExtensionCount = static_cast<std::uint32_t>(chain->extensions().size());
        device_info.ppEnabledExtensionNames = chain->extensions().data();
        need(function<PFN_vkCreateDevice>("vkCreateDevice")(physical_device, &device_info, nullptr, &device));
        function<PFN_vkGetDeviceQueue>("vkGetDeviceQueue")(device, adopted.queue_family, 0, &adopted.queue);

        adopted.instance = instance;
        adopted.physical_device = physical_device;
        adopted.device = device;
        adopted.enabled_features = chain->features();
        adopted.enabled_extensions = chain->extensions();
    }
    HostDevice(HostDevice&& other) noexcept
        : adopted(std::move(other.adopted)),
          instance(other.instance),
          physical_device(other.physical_device),
          device(other.device),
          chain(std::move(other.chain)),
          owned(std::exchange(other.owned, false)) {}
    ~HostDevice() {
        if (!owned) return;
        if (device) function<PFN_vkDestroyDevice>("vkDestroyDevice")(device, nullptr);
        if (instance) function<PFN_vkDestroyInstance>("vkDestroyInstance")(instance, nullptr);
    }

private:
    HostDevice() = default;

    template <typename Pfn>
    Pfn function(const char* name) const {
        return reinterpret_cast<Pfn>(adopted.get_instance_proc_addr(instance, name));
    }
    static void need(VkResult result) {
        if (result != VK_SUCCESS) throw std::runtime_error("the test's own device could not be created");
    }
};

}  // namespace heron::test
