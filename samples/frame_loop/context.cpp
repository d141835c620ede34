// SPDX-License-Identifier: MIT
#include "context.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "support/bad_input.hpp"
#include "support/compute_pipeline.hpp"
#include "support/host_watch.hpp"

using samples::check;

namespace {

constexpr const char* kLayer = "VK_LAYER_KHRONOS_validation";
constexpr std::uint64_t kTimeoutNs = 60'000'000'000;

template <class Function>
Function function(PFN_vkGetInstanceProcAddr get, VkInstance instance, const char* name) {
    return reinterpret_cast<Function>(get(instance, name));
}

bool layer_installed(PFN_vkGetInstanceProcAddr get) {
    const auto list =
        function<PFN_vkEnumerateInstanceLayerProperties>(get, nullptr, "vkEnumerateInstanceLayerProperties");
    std::uint32_t count = 0;
    check(list(&count, nullptr), "vkEnumerateInstanceLayerProperties");
    std::vector<VkLayerProperties> layers(count);
    check(list(&count, layers.data()), "vkEnumerateInstanceLayerProperties");
    return std::ranges::any_of(
        layers, [](const VkLayerProperties& layer) { return std::strcmp(layer.layerName, kLayer) == 0; });
}

}  // namespace

VkBool32 VKAPI_PTR Context::on_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                       VkDebugUtilsMessageTypeFlagsEXT,
                                       const VkDebugUtilsMessengerCallbackDataEXT* data, void* context) {
    const char* text = data->pMessage ? data->pMessage : "(no text)";
    // Which checks are on.
    if (data->pMessageIdName && std::strstr(data->pMessageIdName, "CreateInstance-status-message"))
        return VK_FALSE;
    std::fprintf(stderr, "validation: %s\n", text);
    ++static_cast<Context*>(context)->messages_;
    return VK_FALSE;
}

Context::Context(PFN_vkGetInstanceProcAddr get, std::uint32_t physical_device_index, bool validation)
    : get_(get) {
    create_instance(validation);
    const auto& fi = instance_functions_ = samples::InstanceFunctions(get_, instance_);
    std::uint32_t count = 0;
    check(fi.EnumeratePhysicalDevices(instance_, &count, nullptr), "vkEnumeratePhysicalDevices");
    std::vector<VkPhysicalDevice> devices(count);
    check(fi.EnumeratePhysicalDevices(instance_, &count, devices.data()), "vkEnumeratePhysicalDevices");
    physical_device_ = devices.at(physical_device_index);
    VkPhysicalDeviceProperties properties{};
    fi.GetPhysicalDeviceProperties(physical_device_, &properties);
    name_ = properties.deviceName;
    fi.GetPhysicalDeviceMemoryProperties(physical_device_, &memory_types_);
    choose_queues();
    create_device();
    const VkPipelineCacheCreateInfo cache{.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    check(vk_.CreatePipelineCache(device_, &cache, nullptr, &pipeline_cache_), "vkCreatePipelineCache");
}

void Context::create_instance(bool validation) {
    if (validation && !layer_installed(get_))
        throw samples::BadInput(
            "--validation: the layer is not installed (Debian: apt install vulkan-validationlayers)");
    const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                        .pApplicationName = "frame_loop",
                                        .apiVersion = VK_API_VERSION_1_3};
    const VkDebugUtilsMessengerCreateInfoEXT messenger{
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = this};
    const VkValidationFeatureEnableEXT checks = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    const VkValidationFeaturesEXT validation_features{.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                                      .enabledValidationFeatureCount = 1,
                                                      .pEnabledValidationFeatures = &checks};
    const std::array extensions{VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    const VkInstanceCreateInfo info{
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = validation ? &validation_features : nullptr,
        .pApplicationInfo = &application,
        .enabledLayerCount = validation ? 1u : 0u,
        .ppEnabledLayerNames = &kLayer,
        .enabledExtensionCount = validation ? static_cast<std::uint32_t>(extensions.size()) : 0u,
        .ppEnabledExtensionNames = extensions.data()};
    check(function<PFN_vkCreateInstance>(get_, nullptr, "vkCreateInstance")(&info, nullptr, &instance_),
          "vkCreateInstance");
    if (validation)
        check(function<PFN_vkCreateDebugUtilsMessengerEXT>(get_, instance_, "vkCreateDebugUtilsMessengerEXT")(
                  instance_, &messenger, nullptr, &messenger_),
              "vkCreateDebugUtilsMessengerEXT");
}

void Context::choose_queues() {
    std::uint32_t count = 0;
    const auto list = instance_functions_.GetPhysicalDeviceQueueFamilyProperties;
    list(physical_device_, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    list(physical_device_, &count, families.data());
    const auto find = [&](VkQueueFlags with, VkQueueFlags without) {
        std::uint32_t family = 0;
        while (family < count &&
               ((families[family].queueFlags & with) != with || (families[family].queueFlags & without) != 0))
            ++family;
        return family;
    };
    graphics_.family = find(VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT, 0);
    if (graphics_.family == count) throw samples::BadInput(name_ + " has no queue for graphics and compute");
    families_ = {graphics_.family};
    compute_.family = find(VK_QUEUE_COMPUTE_BIT, VK_QUEUE_GRAPHICS_BIT);
    if (compute_.family == count) {
        compute_.family = graphics_.family;
        compute_index_ = families[graphics_.family].queueCount > 1 ? 1 : 0;
    } else {
        families_.push_back(compute_.family);
    }
}

void Context::create_device() {
    // Everything that Heron needs, and what it can use beyond that; the renderer needs no more than that.
    features_.emplace(get_, instance_, physical_device_);
    const std::array<float, 2> priorities{1.0f, 0.5f};
    std::vector<VkDeviceQueueCreateInfo> queues;
    for (const std::uint32_t family : families_)
        queues.push_back({.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                          .queueFamilyIndex = family,
                          .queueCount = family == compute_.family ? compute_index_ + 1 : 1,
                          .pQueuePriorities = priorities.data()});
    const auto extensions = features_->extensions();
    const VkDeviceCreateInfo info{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                  .pNext = features_->features(),
                                  .queueCreateInfoCount = static_cast<std::uint32_t>(queues.size()),
                                  .pQueueCreateInfos = queues.data(),
                                  .enabledExtensionCount = static_cast<std::uint32_t>(extensions.size()),
                                  .ppEnabledExtensionNames = extensions.data()};
    const auto& fi = instance_functions_;
    check(fi.CreateDevice(physical_device_, &info, nullptr, &device_), "vkCreateDevice");
    vk_ = samples::DeviceFunctions(fi.GetDeviceProcAddr, device_);
    vk_.GetDeviceQueue(device_, graphics_.family, 0, &graphics_.handle);
    vk_.GetDeviceQueue(device_, compute_.family, compute_index_, &compute_.handle);
}

Context::~Context() {
    if (device_) {
        vk_.DeviceWaitIdle(device_);
        vk_.DestroyPipelineCache(device_, pipeline_cache_, nullptr);
        vk_.DestroyDevice(device_, nullptr);
    }
    if (messenger_)
        function<PFN_vkDestroyDebugUtilsMessengerEXT>(get_, instance_, "vkDestroyDebugUtilsMessengerEXT")(
            instance_, messenger_, nullptr);
    if (instance_) instance_functions_.DestroyInstance(instance_, nullptr);
}

std::string Context::queues_text() const {
    const std::string graphics = "graphics in queue family " + std::to_string(graphics_.family);
    if (!async()) return graphics + ", the only queue: async compute takes turns with graphics";
    if (compute_.family == graphics_.family) return graphics + ", async compute in a second queue of it";
    return graphics + ", async compute in family " + std::to_string(compute_.family);
}

heron::AdoptedDevice Context::handles() const {
    return {.get_instance_proc_addr = samples::watched_entry(get_),
            .instance = instance_,
            .physical_device = physical_device_,
            .device = device_,
            .queue_family = compute_.family,
            .api_version = VK_API_VERSION_1_3,
            .enabled_features = features_->features(),
            .enabled_extensions = features_->extensions(),
            .pipeline_cache = pipeline_cache_};
}

VkShaderModule Context::create_module(std::span<const std::uint32_t> spirv) const {
    return samples::create_shader_module(vk_, device_, spirv);
}

VkPipelineLayout Context::create_layout(VkShaderStageFlags stages, std::uint32_t push_bytes) const {
    return samples::create_pipeline_layout(vk_, device_, stages, push_bytes);
}

VkPipeline Context::create_compute_pipeline(std::span<const std::uint32_t> spirv,
                                            VkPipelineLayout layout) const {
    return samples::create_compute_pipeline(vk_, device_, spirv, layout, pipeline_cache_);
}

Timeline Context::create_timeline() const {
    const VkSemaphoreTypeCreateInfo type{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                         .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    Timeline timeline;
    check(vk_.CreateSemaphore(device_, &info, nullptr, &timeline.semaphore), "vkCreateSemaphore");
    return timeline;
}

void Context::wait(const Timeline& timeline, std::uint64_t value) const {
    const VkSemaphoreWaitInfo info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                   .semaphoreCount = 1,
                                   .pSemaphores = &timeline.semaphore,
                                   .pValues = &value};
    check(vk_.WaitSemaphores(device_, &info, kTimeoutNs), "vkWaitSemaphores");
}

void Context::wait_idle() const { check(vk_.DeviceWaitIdle(device_), "vkDeviceWaitIdle"); }
