// SPDX-License-Identifier: MIT
#include "core/instance.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "core/check.hpp"

namespace heron {

namespace {

constexpr const char* kPortabilityEnumeration = "VK_KHR_portability_enumeration";

bool has_instance_extension(const FunctionTable& vk, const char* layer, std::string_view name) {
    const auto list = enumerate<VkExtensionProperties>(
        "vkEnumerateInstanceExtensionProperties", [&](std::uint32_t* count, VkExtensionProperties* items) {
            const VkResult result = vk.EnumerateInstanceExtensionProperties(layer, count, items);
            // Without a layer there are no extensions; vkCreateInstance says more plainly that it is missing.
            return layer && result == VK_ERROR_LAYER_NOT_PRESENT ? VK_SUCCESS : result;
        });
    return std::any_of(list.begin(), list.end(),
                       [&](const VkExtensionProperties& item) { return name == item.extensionName; });
}

}  // namespace

Instance::~Instance() {
    if (owned && handle) vk.DestroyInstance(handle, allocator);
}

void Instance::create(const DeviceOptions& options) {
    vk.load_global(library.open(options.get_instance_proc_addr));
    allocator = options.allocator;

    std::uint32_t version = VK_API_VERSION_1_0;
    check_result(vk.EnumerateInstanceVersion(&version), "vkEnumerateInstanceVersion", "");
    if (version < VK_API_VERSION_1_3)
        throw Error(ErrorCode::unsupported, "the Vulkan loader is too old: it has Vulkan " +
                                                version_text(version) + ", Heron needs 1.3");

    std::vector<const char*> extensions = options.instance_extensions;
    auto enabled = [&](std::string_view name) {
        return std::any_of(extensions.begin(), extensions.end(), [&](const char* e) { return name == e; });
    };
    if (options.debug_names && !enabled(VK_EXT_DEBUG_UTILS_EXTENSION_NAME)) {
        bool offered = has_instance_extension(vk, nullptr, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
        for (const char* layer : options.instance_layers)
            offered = offered || has_instance_extension(vk, layer, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
        if (offered) extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    }
    debug_utils = options.debug_names && enabled(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    // Without it MoltenVK's devices are not listed.
    const bool portability = has_instance_extension(vk, nullptr, kPortabilityEnumeration);
    if (portability && !enabled(kPortabilityEnumeration)) extensions.push_back(kPortabilityEnumeration);

    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pEngineName = "Heron";
    application.apiVersion = VK_API_VERSION_1_3;
    VkInstanceCreateInfo create_info{};
    create_info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    create_info.pApplicationInfo = &application;
    if (portability) create_info.flags = VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    create_info.enabledLayerCount = static_cast<std::uint32_t>(options.instance_layers.size());
    create_info.ppEnabledLayerNames = options.instance_layers.data();
    create_info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    create_info.ppEnabledExtensionNames = extensions.data();

    // Where a function is missing, the destructor cannot destroy the instance, so this one is fetched by
    // itself.
    VkInstance created = VK_NULL_HANDLE;
    const VkResult result = vk.CreateInstance(&create_info, allocator, &created);
    std::string what;
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        what = "no Vulkan driver is installed (Debian: mesa-vulkan-drivers, which also has a CPU driver)";
    if (result == VK_ERROR_LAYER_NOT_PRESENT) {
        what = "a layer of DeviceOptions::instance_layers is not installed:";
        for (const char* layer : options.instance_layers) what.append(" ").append(layer);
    }
    if (result == VK_ERROR_EXTENSION_NOT_PRESENT)
        what = "an extension of DeviceOptions::instance_extensions is missing";
    check_result(result, "vkCreateInstance", what);
    vk.DestroyInstance =
        reinterpret_cast<PFN_vkDestroyInstance>(vk.GetInstanceProcAddr(created, "vkDestroyInstance"));
    owned = vk.DestroyInstance != nullptr;
    handle = created;
    vk.load_instance(created);
    if (debug_utils) vk.load_debug(created);
}

std::vector<VkPhysicalDevice> Instance::physical_devices() const {
    constexpr const char* kCall = "vkEnumeratePhysicalDevices";
    return enumerate<VkPhysicalDevice>(kCall, [&](std::uint32_t* count, VkPhysicalDevice* items) {
        const VkResult result = vk.EnumeratePhysicalDevices(handle, count, items);
        // Some loaders say so when an ICD found no device of its own.
        if (result == VK_ERROR_INITIALIZATION_FAILED)
            throw_result(result, kCall, "no driver could be initialised");
        return result;
    });
}

}  // namespace heron
