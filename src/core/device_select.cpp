// SPDX-License-Identifier: MIT
// Devices of Heron's own: what there is, which one is taken and why, and its creation.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/device.hpp"

namespace heron {

namespace {

std::vector<Probe> probe_all(const Instance& instance) {
    std::vector<Probe> probes;
    std::uint32_t index = 0;
    for (VkPhysicalDevice handle : instance.physical_devices())
        probes.push_back(probe_device(instance.vk, handle, index++));
    return probes;
}

int rank_of(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return 0;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return 1;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return 2;
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return 3;
        default:
            return 4;
    }
}

std::string line_of(const DeviceInfo& info) {
    return "\n  " + std::to_string(info.index) + ": " + info.name + ", " + info.type_text() + ", " +
           info.driver + ", UUID " + info.uuid_text() + (info.usable ? "" : ": " + info.reason);
}

std::string lines_of(const std::vector<Probe>& probes) {
    std::string text;
    for (const Probe& probe : probes) text += line_of(probe.info);
    return text;
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');  // not tolower: that depends on the locale
    return lower;
}

bool is_hexadecimal(std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The chosen probe, and why. Index before UUID before name part; a number that is no index may be part of a
// name.
std::pair<const Probe*, std::string> choose(const std::vector<Probe>& probes, const std::string& select) {
    std::vector<const Probe*> matches;
    std::string how;
    const std::string wish = lower_case(select);
    if (wish.empty()) {
        for (const Probe& probe : probes)
            if (probe.info.usable) matches.push_back(&probe);
        if (matches.empty())
            throw Error(ErrorCode::unsupported,
                        probes.empty()
                            ? "no Vulkan device found: install a driver (Debian: mesa-vulkan-drivers, which "
                              "also has a CPU driver)"
                            : "no Vulkan device can be used:" + lines_of(probes));
    } else {
        if (wish.size() <= 6 && wish.find_first_not_of("0123456789") == std::string::npos) {
            const std::size_t index = std::stoul(wish);
            if (index < probes.size()) {
                matches.push_back(&probes[index]);
                how = "selected by index " + wish;
            }
        }
        std::string digits = wish;
        digits.erase(std::remove(digits.begin(), digits.end(), '-'), digits.end());
        if (matches.empty() && digits.size() == 2 * VK_UUID_SIZE && is_hexadecimal(digits)) {
            for (const Probe& probe : probes)
                if (probe.info.uuid_text() == digits) matches.push_back(&probe);
            how = "selected by UUID";
        }
        if (matches.empty()) {
            for (const Probe& probe : probes)
                if (lower_case(probe.info.name).find(wish) != std::string::npos) matches.push_back(&probe);
            how = "selected by name part \"" + select + "\"";
        }
        if (matches.empty())
            throw Error(ErrorCode::invalid_argument,
                        "no Vulkan device matches \"" + select +
                            "\" as index, UUID or part of a name; there " +
                            (probes.empty() ? std::string("is none") : "are:" + lines_of(probes)));
        std::erase_if(matches, [](const Probe* probe) { return !probe->info.usable; });
        if (matches.empty())
            throw Error(ErrorCode::unsupported,
                        "the device that \"" + select + "\" selects cannot be used:" + lines_of(probes));
    }
    const Probe* best = *std::min_element(matches.begin(), matches.end(), [](const Probe* a, const Probe* b) {
        if (rank_of(a->info.type) != rank_of(b->info.type))
            return rank_of(a->info.type) < rank_of(b->info.type);
        // Of two CPU drivers the one with wider vectors: lavapipe runs a step 40 times faster than
        // SwiftShader.
        return a->info.type == VK_PHYSICAL_DEVICE_TYPE_CPU && a->v11.subgroupSize > b->v11.subgroupSize;
    });
    if (matches.size() == 1) return {best, how.empty() ? "the only usable device" : how};
    return {best, (how.empty() ? "first" : how + ", first") + " of " + std::to_string(matches.size()) +
                      (how.empty() ? " usable devices" : " matches") +
                      " (discrete before integrated before virtual before CPU, wide CPU drivers first, then "
                      "the loader's order)"};
}

// A family with compute; with timestamps where there is a choice.
std::uint32_t choose_queue_family(const Probe& probe) {
    std::uint32_t chosen = std::numeric_limits<std::uint32_t>::max();
    for (std::uint32_t i = 0; i < probe.queue_families.size(); ++i) {
        const VkQueueFamilyProperties& family = probe.queue_families[i];
        if (family.queueCount == 0 || (family.queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
        if (family.timestampValidBits > 0) return i;
        chosen = std::min(chosen, i);
    }
    return chosen;
}

}  // namespace

void check_device_options(const DeviceOptions& options) {
    check_version(options.header_major, options.header_minor);
    if (!options.memory.allocate != !options.memory.free)
        throw Error(
            ErrorCode::invalid_argument,
            "DeviceOptions::memory has only one of its callbacks; give both allocate and free, or neither");
    for (const char* name : options.instance_layers)
        if (!name)
            throw Error(ErrorCode::invalid_argument,
                        "DeviceOptions::instance_layers contains a null pointer");
    for (const char* name : options.instance_extensions)
        if (!name)
            throw Error(ErrorCode::invalid_argument,
                        "DeviceOptions::instance_extensions contains a null pointer");
}

std::vector<DeviceInfo> Device::list(const DeviceOptions& options) {
    check_device_options(options);
    Instance instance;
    instance.create(options);
    std::vector<DeviceInfo> infos;
    for (Probe& probe : probe_all(instance)) infos.push_back(std::move(probe.info));
    return infos;
}

Device Device::create(const DeviceOptions& options) {
    check_device_options(options);
    auto impl = std::make_unique<Impl>();
    impl->allocator = options.allocator;
    impl->log_callback = options.log;
    impl->instance.create(options);
    const std::vector<Probe> probes = probe_all(impl->instance);
    auto [probe, reason] = choose(probes, options.select);

    const Features features = without(probe->features, options.disable);
    const std::vector<std::string> extensions = useful_extensions(probe->extensions, features);
    FeatureStructs structs(extensions);
    structs.set(features);
    std::vector<const char*> extension_names;
    for (const std::string& name : extensions) extension_names.push_back(name.c_str());

    impl->physical_device = probe->handle;
    impl->queue_family = choose_queue_family(*probe);
    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue_info{};
    queue_info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue_info.queueFamilyIndex = impl->queue_family;
    queue_info.queueCount = 1;
    queue_info.pQueuePriorities = &priority;
    VkDeviceCreateInfo create_info{};
    create_info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    create_info.pNext = &structs.core;
    create_info.queueCreateInfoCount = 1;
    create_info.pQueueCreateInfos = &queue_info;
    create_info.enabledExtensionCount = static_cast<std::uint32_t>(extension_names.size());
    create_info.ppEnabledExtensionNames = extension_names.data();
    impl->vk = impl->instance.vk;
    check_result(impl->vk.CreateDevice(probe->handle, &create_info, impl->allocator, &impl->device),
                 "vkCreateDevice", probe->info.name);
    impl->owns_device = true;
    impl->vk.load_device(impl->device);
    impl->vk.GetDeviceQueue(impl->device, impl->queue_family, 0, &impl->queue);

    impl->open({*probe, features, extensions, VK_NULL_HANDLE, std::move(reason)}, options);
    Device device(std::move(impl));
    device.impl_->log(Severity::info, device.explain());
    return device;
}

}  // namespace heron
